"""The grader's end of a kernel's channels: what a student's process may send there, and how much of it is kept."""

from jupyter_client.asynchronous import AsyncKernelClient
from jupyter_client.channels import AsyncZMQSocketChannel, HBChannel
from traitlets import Type

MOST_OUTPUT_BYTES = 24 << 20  # of one notebook; a figure has 0.1 MB
MOST_STATUS_BYTES = 4096
NOTHING = {"header": {}, "parent_header": {}, "metadata": {}, "content": {}, "msg_type": "", "buffers": []}


def is_text(value):
    return isinstance(value, str) or (isinstance(value, list) and all(isinstance(line, str) for line in value))


def is_bundle(content):
    """Whether it is a display: texts by kind, and marks on how to show them."""
    data, transient = content.get("data"), content.get("transient", {})
    if not (isinstance(data, dict) and isinstance(content.get("metadata"), dict) and isinstance(transient, dict)):
        return False
    return all(is_text(value) or kind.endswith("json") for kind, value in data.items()) and isinstance(
        transient.get("display_id", ""), str
    )


def is_error(content):
    named = isinstance(content.get("ename"), str) and isinstance(content.get("evalue"), str)
    return named and isinstance(content.get("traceback"), list) and is_text(content["traceback"])


WELL_FORMED = {
    "status": lambda content: isinstance(content.get("execution_state"), str),
    "execute_input": lambda content: isinstance(content.get("code"), str),
    "stream": lambda content: content.get("name") in ("stdout", "stderr") and isinstance(content.get("text"), str),
    "display_data": is_bundle,
    "update_display_data": is_bundle,
    "execute_result": is_bundle,
    "error": is_error,
    "clear_output": lambda content: True,
    "execute_reply": lambda content: content.get("status") in ("ok", "aborted") or is_error(content),
    "kernel_info_reply": lambda content: True,
    "shutdown_reply": lambda content: True,
    "interrupt_reply": lambda content: True,
}


def is_well_formed(message):
    """Whether nbclient can read the message; widgets and what else a notebook does not show are not wanted."""
    check = WELL_FORMED.get(message["msg_type"])
    content = message["content"]
    if not (check and isinstance(message["parent_header"], dict) and isinstance(content, dict)):
        return False
    count = content.get("execution_count")
    return (count is None or type(count) is int) and check(content)


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
            got = self.session.deserialize(message)
            return got if is_well_formed(got) else dict(NOTHING)
        except Exception:  # whatever a student's process can make of a message
            return dict(NOTHING)


class PlainChannel(BoundedChannel):
    """The same for replies, which are not kept."""

    left = float("inf")


class NoHeartbeat(HBChannel):
    """Nobody here listens for a heartbeat, and its thread can wait for ever for a kernel that has ended."""

    def run(self):
        pass


class BoundedClient(AsyncKernelClient):
    """A client whose memory a kernel cannot fill."""

    hb_channel_class = Type(NoHeartbeat)
    iopub_channel_class = Type(BoundedChannel)
    shell_channel_class = Type(PlainChannel)
    control_channel_class = Type(PlainChannel)
    stdin_channel_class = Type(PlainChannel)
