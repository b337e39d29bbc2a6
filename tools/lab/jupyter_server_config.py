"""Opening a notebook with `make lab` changes nothing in it, and saving it changes what the student wrote.

JupyterLab enters the kernel's name and the version of its Python into every notebook that it opens. A notebook without
them, as the course's are, is marked as changed before anything was typed, and saved two minutes later. So what
JupyterLab would enter is there when it reads the notebook, and the file keeps what it had.
"""

from ipykernel.ipkernel import IPythonKernel
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_server.services.contents.largefilemanager import AsyncLargeFileManager

ON_DISK = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
OPENED = {
    "kernelspec": {
        **ON_DISK["kernelspec"],
        "display_name": KernelSpecManager().get_kernel_spec("python3").display_name,
    },
    "language_info": IPythonKernel.language_info,
}


class Notebooks(AsyncLargeFileManager):
    async def get(self, path, content=True, type=None, format=None, **rest):
        model = await super().get(path, content=content, type=type, format=format, **rest)
        exchange(model, ON_DISK, OPENED)
        return model

    async def save(self, model, path=""):
        exchange(model, OPENED, ON_DISK)
        return await super().save(model, path)


def exchange(model, old, new):
    """In a notebook whose metadata about the kernel are `old`, they become `new`."""
    if model["type"] != "notebook" or not model.get("content"):
        return
    metadata = model["content"]["metadata"]
    if {key: metadata[key] for key in OPENED if key in metadata} == old:
        model["content"]["metadata"] = {key: value for key, value in metadata.items() if key not in old} | new


c.ServerApp.contents_manager_class = Notebooks  # noqa: F821
