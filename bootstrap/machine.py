"""Facts about a machine: C runtime, memory, cores, package index. For doctor.py, with the same restrictions."""

from __future__ import annotations

import configparser
import os
import pathlib
import socket
import subprocess


def os_release() -> dict[str, str]:
    path = pathlib.Path("/etc/os-release")
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    return {key: value.strip("\"'") for key, _, value in (line.partition("=") for line in lines) if value}


def glibc() -> tuple[int, ...]:
    try:
        name = os.confstr("CS_GNU_LIBC_VERSION") or ""
        return tuple(int(part) for part in name.split()[-1].split("."))
    except (ValueError, OSError, IndexError):
        return ()


def libstdcxx() -> pathlib.Path | None:
    environment = {**os.environ, "PATH": f"{os.environ.get('PATH', '')}:/sbin:/usr/sbin"}
    for line in output(["ldconfig", "-p"], env=environment).splitlines():
        if "libstdc++.so.6 " in line and "x86-64" in line:
            return pathlib.Path(line.split()[-1])
    return None


def package_index() -> str:
    for variable in ("UV_DEFAULT_INDEX", "UV_INDEX_URL", "PIP_INDEX_URL"):
        if os.environ.get(variable):
            return os.environ[variable].split("=", 1)[-1] if "=http" in os.environ[variable] else os.environ[variable]
    for path in ("~/.config/pip/pip.conf", "~/.pip/pip.conf", "/etc/pip.conf"):
        settings = configparser.RawConfigParser()
        try:
            settings.read(pathlib.Path(path).expanduser())
            return settings.get("global", "index-url")
        except configparser.Error:
            continue
    return "https://pypi.org/simple"


def memory_bytes() -> float:
    total = float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    for path in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        limit = read(path)
        if limit.isdigit():
            total = min(total, float(limit))
    return total


def cpus() -> float:
    cpus = float(len(os.sched_getaffinity(0)))
    quota = read("/sys/fs/cgroup/cpu.max").split()
    if len(quota) == 2 and quota[0].isdigit():
        cpus = min(cpus, int(quota[0]) / int(quota[1]))
    return cpus


def port_is_free(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def nearest(folder: pathlib.Path) -> pathlib.Path:
    """The folder itself, or the closest one above it that exists."""
    while not folder.is_dir() and folder != folder.parent:
        folder = folder.parent
    return folder


def read(path: str) -> str:
    try:
        return pathlib.Path(path).read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return ""


def output(command: list[str], timeout: float = 20, env: dict[str, str] | None = None) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, env=env, cwd="/")
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def succeeds(command: list[str]) -> bool:
    try:
        return subprocess.run(command, capture_output=True, timeout=60, cwd="/").returncode == 0
    except (OSError, subprocess.SubprocessError):
        return False
