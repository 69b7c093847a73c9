"""Authorities and certificates for tests, made with openssl."""
import ssl
import subprocess


def _openssl(*arguments):
    subprocess.run(['openssl', *map(str, arguments)], check=True, capture_output=True)


class Authority:
    def __init__(self, directory, name='authority'):
        self.directory = directory
        self.certificate, self.key = directory / (name + '.crt'), directory / (name + '.key')
        _openssl('req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', 2,
                 '-subj', '/CN=' + name, '-keyout', self.key, '-out', self.certificate)

    def issue(self, name, names='DNS:localhost,IP:127.0.0.1', usage='serverAuth', days=2):
        """-> (certificate, key), paths"""
        certificate, key = self.directory / (name + '.crt'), self.directory / (name + '.key')
        request, extensions = self.directory / (name + '.csr'), self.directory / (name + '.ext')
        extensions.write_text('subjectAltName=%s\nextendedKeyUsage=%s\n' % (names, usage))
        _openssl('req', '-new', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-subj', '/CN=' + name,
                 '-keyout', key, '-out', request)
        _openssl('x509', '-req', '-in', request, '-CA', self.certificate, '-CAkey', self.key, '-CAcreateserial',
                 '-days', days, '-extfile', extensions, '-out', certificate)
        return certificate, key

    @staticmethod
    def encrypt(key, encrypted, is_old=False):
        """Writes a key with a passphrase: as PKCS #8 does it, or as PEM did it before."""
        _openssl(*(('ec', '-aes256') if is_old else ('pkcs8', '-topk8')), '-in', key, '-out', encrypted, '-passout', 'pass:secret')

    def client(self, pair=None):
        """A context for clients that trust this authority, with a certificate of their own if `pair` is given."""
        context = ssl.create_default_context(cafile=str(self.certificate))
        if pair:
            context.load_cert_chain(*map(str, pair))
        return context
