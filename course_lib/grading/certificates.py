"""Certificates for a cluster: only who holds one may send it work, or read what is sent.

Whoever reaches a Dask scheduler can make its workers run any Python. With TLS, each side asks the
other for a certificate of one authority. Sources: https://distributed.dask.org/en/stable/tls.html,
RFC 5280. The authority's key is never written: a folder of certificates cannot make another.
"""

import datetime
import os
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from course_lib.grading.course import CourseError

__all__ = ["DAYS", "FILES", "make_certificates"]

FILES = ("ca.pem", "cluster.pem", "cluster-key.pem")
DAYS = 200  # a term, and the time for appeals
SLACK = datetime.timedelta(hours=1)  # clocks of machines differ


def make_certificates(folder, *, days=DAYS):
    """Write an authority's certificate, a certificate of it, and the key to that.

    Parameters
    ----------
    folder : path
        Made if it is not there, readable to its owner alone.
    days : int
        From now, until they are no longer valid.

    Returns
    -------
    Path
        The folder, with ``ca.pem``, ``cluster.pem`` and ``cluster-key.pem``.

    Raises
    ------
    CourseError
        If one of the files is there already, or `days` is not positive.
    """
    folder = Path(folder)
    if days < 1:
        raise CourseError(f"certificates: valid for {days} days; expected 1 or more")
    there = [name for name in FILES if os.path.lexists(folder / name)]
    if there:
        raise CourseError(
            f"certificates: {folder / there[0]} is there already; remove it to make new ones, "
            "which all machines of the cluster then need"
        )
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    authority_key, key = (
        ec.generate_private_key(ec.SECP256R1()),
        ec.generate_private_key(ec.SECP256R1()),
    )
    issuer, subject = _name("grading: authority"), _name("grading: cluster")
    authority = (
        _begin(issuer, issuer, authority_key, authority_key, days)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(key_cert_sign=True, crl_sign=True), critical=True)
        .sign(authority_key, hashes.SHA256())
    )
    roles = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
    certificate = (
        _begin(subject, issuer, key, authority_key, days)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(digital_signature=True), critical=True)
        .add_extension(x509.ExtendedKeyUsage(roles), critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    secret = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    pem = serialization.Encoding.PEM
    texts = (authority.public_bytes(pem), certificate.public_bytes(pem), secret)
    for name, text in zip(FILES, texts, strict=True):
        mode = 0o600 if name == "cluster-key.pem" else 0o644
        descriptor = os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with os.fdopen(descriptor, "wb") as file:
            file.write(text)
    return folder


def _name(text):
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _begin(subject, issuer, key, issuer_key, days):
    """Begin a certificate with what both have."""
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - SLACK)
        .not_valid_after(now + datetime.timedelta(days=days))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()),
            critical=False,
        )
    )


def _usage(**allowed):
    names = (
        *("digital_signature", "content_commitment", "key_encipherment", "data_encipherment"),
        *("key_agreement", "key_cert_sign", "crl_sign", "encipher_only", "decipher_only"),
    )
    return x509.KeyUsage(**dict.fromkeys(names, False) | allowed)
