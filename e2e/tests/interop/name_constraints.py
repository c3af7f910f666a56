"""Judges certificates under an authority with name constraints, and forges some outside of them.

On standard input: the authority's certificate and key, what its tool issued with a name of each,
names it may not certify, and a folder for the forgeries (0.crt, 1.crt, ...).
"""

import datetime
import ipaddress
import json
import pathlib
import sys

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key
from cryptography.x509 import verification


def general_name(text):
    try:
        return x509.IPAddress(ipaddress.ip_address(text))
    except ValueError:
        return x509.DNSName(text)


def forge(ca, ca_key, name, serial):
    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.datetime.now(datetime.timezone.utc)
    usage = dict.fromkeys(
        [
            "content_commitment",
            "key_encipherment",
            "data_encipherment",
            "key_agreement",
            "key_cert_sign",
            "crl_sign",
            "encipher_only",
            "decipher_only",
        ],
        False,
    )
    extensions = [
        (x509.BasicConstraints(ca=False, path_length=None), True),
        (x509.KeyUsage(digital_signature=True, **usage), True),
        (x509.ExtendedKeyUsage([x509.ExtendedKeyUsageOID.SERVER_AUTH]), False),
        (x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False),
        (x509.AuthorityKeyIdentifier.from_issuer_public_key(ca.public_key()), False),
        (x509.SubjectAlternativeName([general_name(name)]), False),
    ]
    builder = (
        x509.CertificateBuilder()
        .issuer_name(ca.subject)
        .subject_name(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "forgery")]))
        .public_key(key.public_key())
        .serial_number(serial)
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=30))
    )
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical)
    return builder.sign(ca_key, hashes.SHA256())


def accepted(ca, leaf, name):
    builder = verification.PolicyBuilder().store(verification.Store([ca]))
    try:
        builder.build_server_verifier(general_name(name)).verify(leaf, [])
    except verification.VerificationError:
        return False
    return True


def main():
    told = json.load(sys.stdin)
    ca = x509.load_pem_x509_certificate(pathlib.Path(told["ca"]).read_bytes())
    ca_key = load_pem_private_key(pathlib.Path(told["ca_key"]).read_bytes(), None)
    for path, name in told["inside"]:
        leaf = x509.load_pem_x509_certificate(pathlib.Path(path).read_bytes())
        assert accepted(ca, leaf, name), name
    for serial, name in enumerate(told["outside"]):
        leaf = forge(ca, ca_key, name, serial + 1000)
        assert not accepted(ca, leaf, name), name
        path = pathlib.Path(told["folder"]) / f"{serial}.crt"
        path.write_bytes(leaf.public_bytes(Encoding.PEM))
    # Or the refusals above would show nothing.
    name = told["inside"][0][1]
    assert accepted(ca, forge(ca, ca_key, name, 999), name), name


main()
