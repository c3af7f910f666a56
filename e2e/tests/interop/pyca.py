"""Opens everything an authority wrote; the paths stand in JSON on standard input."""

import datetime
import ipaddress
import json
import pathlib
import sys

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key, pkcs12
from cryptography.x509 import verification
from cryptography.x509.verification import Criticality, ExtensionPolicy

KEYS = {
    "p256": (ec.EllipticCurvePublicKey, 256),
    "p384": (ec.EllipticCurvePublicKey, 384),
    "rsa2048": (rsa.RSAPublicKey, 2048),
    "rsa3072": (rsa.RSAPublicKey, 3072),
    "rsa4096": (rsa.RSAPublicKey, 4096),
}


def read(path):
    return pathlib.Path(path).read_bytes()


def certificate(path):
    return x509.load_pem_x509_certificate(read(path))


def right_kind(key, kind):
    family, size = KEYS[kind]
    assert isinstance(key, family) and key.key_size == size, (key, kind)


def verifiers(ca):
    """For servers by the rules of the Web; for clients the same, but without names of hosts."""
    builder = verification.PolicyBuilder().store(verification.Store([ca]))
    people = ExtensionPolicy.webpki_defaults_ee().may_be_present(
        x509.SubjectAlternativeName, Criticality.AGNOSTIC, None
    )
    client = builder.extension_policies(
        ca_policy=ExtensionPolicy.webpki_defaults_ca(), ee_policy=people
    ).build_client_verifier()
    return builder, client


def refused(verify, leaf):
    try:
        verify(leaf, [])
    except verification.VerificationError:
        return
    raise AssertionError(f"{leaf.subject} was accepted")


def judge_path(leaf, issued, papers, ca):
    leaf.verify_directly_issued_by(ca)
    builder, client = verifiers(ca)
    names = [x509.DNSName(name) for name in papers["names"]]
    names += [x509.IPAddress(ipaddress.ip_address(text)) for text in papers["addresses"]]
    if issued["purpose"] == "server":
        for name in names:
            builder.build_server_verifier(name).verify(leaf, [])
        refused(builder.build_server_verifier(x509.DNSName("evil.example")).verify, leaf)
        refused(client.verify, leaf)
    else:
        client.verify(leaf, [])
        refused(builder.build_server_verifier(names[0]).verify, leaf)
    common_name = leaf.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)[0].value
    assert common_name == issued["name"], common_name
    assert f"{leaf.serial_number:06}" == issued["compat"]["number"]


def judge_keys(leaf, kit, ca):
    passphrase = kit["passphrase"].encode()
    public = leaf.public_key()
    assert load_pem_private_key(read(kit["pem"]), None).public_key() == public
    assert load_pem_private_key(read(kit["enc_pem"]), passphrase).public_key() == public
    store = pkcs12.load_pkcs12(read(kit["p12"]), passphrase)
    assert store.key.public_key() == public
    assert store.cert.certificate == leaf
    assert [entry.certificate for entry in store.additional_certs] == [ca]


def judge_crl(path, ca, revoked):
    crl = x509.load_pem_x509_crl(read(path))
    assert crl.is_signature_valid(ca.public_key())
    assert crl.issuer == ca.subject
    assert {entry.serial_number for entry in crl} == revoked, path
    now = datetime.datetime.now(datetime.timezone.utc)
    assert crl.last_update_utc <= now < crl.next_update_utc
    identifier = crl.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value
    subject = ca.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    assert identifier.key_identifier == subject.digest
    return crl.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number


def main():
    papers = json.load(sys.stdin)
    ca = certificate(papers["ca"])
    ca.verify_directly_issued_by(ca)
    right_kind(ca.public_key(), papers["ca_key"])
    revoked = set()
    for issued in papers["issued"]:
        leaf = certificate(issued["compat"]["crt"])
        right_kind(leaf.public_key(), issued["key"])
        judge_path(leaf, issued, papers, ca)
        for profile in ("compat", "modern"):
            judge_keys(leaf, issued[profile], ca)
        if issued["revoked"]:
            revoked.add(leaf.serial_number)
    first = judge_crl(papers["empty_crl"], ca, set())
    assert judge_crl(papers["crl"], ca, revoked) > first


main()
