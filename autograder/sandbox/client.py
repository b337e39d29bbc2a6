"""The grader's end of a kernel's channels: what a student's process may send there, and how much of it is kept."""

from jupyter_client.asynchronous import AsyncKernelClient
from jupyter_client.channels import AsyncZMQSocketChannel
from traitlets import Type

MOST_OUTPUT_BYTES = 24 << 20  # of one notebook; a figure has 0.1 MB
MOST_STATUS_BYTES = 4096
NOTHING = {"header": {}, "parent_header": {}, "metadata": {}, "content": {}, "msg_type": "", "buffers": []}


class BoundedChannel(AsyncZMQSocketChannel):
    """A channel that turns what it cannot read, or has had too much of, into a message that nobody waits for."""

    left = MOST_OUTPUT_BYTES

    async def _recv(self, **options):
        frames = await self.socket.recv_multipart(**options)
        size = sum(map(len, frames))
        self.left -= size
        try:
            _, message = self.session.feed_identities(frames)
            if self.left < 0 and not (b'"status"' in message[1] and size < MOST_STATUS_BYTES):
                return dict(NOTHING)
            return self.session.deserialize(message)
        except Exception:  # whatever a student's process can make of a message
            return dict(NOTHING)


class PlainChannel(BoundedChannel):
    """The same for replies, which are not kept."""

    left = float("inf")


class BoundedClient(AsyncKernelClient):
    """A client whose memory a kernel cannot fill."""

    iopub_channel_class = Type(BoundedChannel)
    shell_channel_class = Type(PlainChannel)
    control_channel_class = Type(PlainChannel)
    stdin_channel_class = Type(PlainChannel)
