"""LiteLLM's own command, and nothing else. But its four thousand modules, which take seconds of a processor, are loaded
once in a run: the first start leaves a process behind that has loaded them and has done nothing else, and each start
goes on in a copy of it (fork), with its own arguments, environment and folder. That process ends with the runner.
"""

import contextlib
import fcntl
import gc
import json
import os
import select
import signal
import socket
import sys

LARGEST = 1 << 20


def main():
    try:
        path = os.path.join(sys.prefix, f"loaded-{os.getppid()}.sock")
        runner = os.pidfd_open(os.getppid())
        connection, listener = find(path)
    except (AttributeError, OSError) as error:
        print(f"LiteLLM is loaded for this start alone: {error}", file=sys.stderr)
        sys.exit(load()())
    if listener and os.fork() == 0:
        connection.close()
        sys.exit(copy_for_each(listener, path, runner)())
    stand_for_copy(connection)


def load():
    # What is loaded is never freed: to look for garbage meanwhile would take a quarter more of the processor.
    gc.disable()
    from litellm import run_server
    import litellm.proxy.proxy_server

    gc.enable()
    return run_server


def find(path):
    """A connection to the process that has everything loaded; where there is none yet, also what it is to listen on."""
    folder = os.open(".", os.O_RDONLY)
    # An address has room for a short path only.
    os.chdir(os.path.dirname(path))
    address = os.path.basename(path)
    # Until it is listened on, an address looks like that of a process that was killed.
    turn = os.open(".", os.O_RDONLY)
    try:
        fcntl.flock(turn, fcntl.LOCK_EX)
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            connection.connect(address)
            return connection, None
        except FileNotFoundError:
            pass
        except ConnectionRefusedError:
            # Of a process that was killed.
            os.unlink(address)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        listener.bind(address)
        os.chmod(address, 0o600)
        listener.listen(128)
        connection.connect(address)
        return connection, listener
    finally:
        os.close(turn)
        os.fchdir(folder)
        os.close(folder)


def copy_for_each(listener, path, runner):
    """Loads everything, and makes a copy for each start until the runner ends. Only the copies return: what to run."""
    # The first start's group is killed when that gateway ends.
    os.setpgid(0, 0)
    # A copy has the one thread that makes it, and loading starts no others but those of OpenBLAS.
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
    run = load()
    gc.freeze()
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 1)
    os.dup2(nothing, 2)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    while runner not in select.select([listener, runner], [], [])[0]:
        connection, _ = listener.accept()
        if os.fork() == 0:
            listener.close()
            os.close(runner)
            become(connection)
            return run
        connection.close()
    os.unlink(path)
    os._exit(0)


def become(connection):
    """Makes the copy and tells the one who asked its number and, once it ended, how. Only the copy returns."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    message, files, _, _ = socket.recv_fds(connection, LARGEST, 3)
    if not message:
        os._exit(0)
    start = json.loads(message)
    copy = os.fork()
    if copy != 0:
        tell(connection, copy)
        tell(connection, os.waitpid(copy, 0)[1])
        os._exit(0)
    connection.close()
    # Whoever kills the group of the start kills its copy.
    os.setpgid(0, start["group"])
    for number, file in enumerate(files):
        os.dup2(file, number)
        os.close(file)
    os.chdir(start["folder"])
    os.environ.clear()
    os.environ.update(start["environment"])
    sys.argv = start["arguments"]
    sys.path[0] = os.path.dirname(sys.argv[0])


def tell(connection, number):
    try:
        connection.send(str(number).encode())
    except OSError:
        # It was killed, with its copy.
        os._exit(0)


def stand_for_copy(connection):
    """What the runner has started is this process: it passes on what it is told, and ends as the copy does."""
    start = {
        "group": os.getpgrp(),
        "folder": os.getcwd(),
        "environment": dict(os.environ),
        "arguments": sys.argv,
    }
    signals = [signal.SIGTERM, signal.SIGINT]
    # One that comes before there is a copy waits for it.
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    socket.send_fds(connection, [json.dumps(start).encode()], [0, 1, 2])
    copy = hear(connection)
    for number in signals:
        signal.signal(number, lambda number, _: pass_on(copy, number))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, signals)
    code = os.waitstatus_to_exitcode(hear(connection))
    if code < 0:
        signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    sys.exit(code)


def pass_on(copy, number):
    with contextlib.suppress(ProcessLookupError):
        os.kill(copy, number)


def hear(connection):
    message = connection.recv(LARGEST)
    if not message:
        sys.exit("LiteLLM could not be loaded")
    return int(message)


main()
