"""What the example programs have in common on the command line."""
import argparse
import signal


def address(text):
    host, _, port = text.rpartition(':')
    if not host or not port.isdigit():
        raise argparse.ArgumentTypeError('expected host:port, got "%s"' % text)
    return text


def parse(description, **more):
    """-> the arguments. `more` are further options, by name, each with its default and its help.

    To be called first of all: a thread that is older than this would be ended by the signal that run() waits for.
    """
    # The first process of a container is not ended by a signal that it does not take. It is taken between two
    # rounds, so that none is cut off.
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
    parser = argparse.ArgumentParser(description=description.partition('\n')[0])
    parser.add_argument('--form', choices=['tags', 'plain'], default='tags', help='how labels are sent')
    parser.add_argument('--address', type=address, default='127.0.0.1:9125', help='where the bridge takes lines (UDP)')
    parser.add_argument('--loop', action='store_true', help='go on until the program is ended')
    parser.add_argument('--every', type=float, default=1, help='seconds from round to round (1)')
    for name, (default, text) in more.items():
        parser.add_argument('--' + name.replace('_', '-'), default=default, help=text)
    return parser.parse_args()


def run(work, arguments, metrics):
    """Does `work` once, or again and again."""
    try:
        work()
        while arguments.loop and not signal.sigtimedwait([signal.SIGTERM], arguments.every):
            work()
    finally:
        metrics.close()
