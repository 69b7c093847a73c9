"""Users and passwords, as clients send them and as a web configuration has them."""
import base64
import subprocess


def basic(user, password):
    return {'Authorization': 'Basic ' + base64.b64encode(('%s:%s' % (user, password)).encode()).decode()}


def hash_of(password, cost=4):
    """Perl's crypt() is the one of libxcrypt."""
    salt = '$2b$%02d$abcdefghijklmnopqrstuu' % cost
    done = subprocess.run(['perl', '-e', 'print crypt($ARGV[0], $ARGV[1])', password, salt], check=True, capture_output=True,
                          text=True)
    assert len(done.stdout) == 60
    return done.stdout
