"""Lints everything an authority wrote; the paths stand in JSON on standard input."""

import json
import sys

from pkilint import loader, pkix
from pkilint.pkix import certificate, crl, extension, name
from pkilint.validation import ValidationFindingSeverity as Severity

# Findings that we mean to have, with the reason; the whole message must match.
WAIVED = {
    # The guide's server name and localhost have one label; a closed LAN has no other.
    "pkix.invalid_domain_name_syntax": 'Invalid domain name syntax: "weborca-server"',
}


def certificate_linter():
    return certificate.create_pkix_certificate_validator_container(
        certificate.create_decoding_validators(
            name.ATTRIBUTE_TYPE_MAPPINGS, extension.EXTENSION_MAPPINGS
        ),
        [
            certificate.create_issuer_validator_container([]),
            certificate.create_validity_validator_container(),
            certificate.create_subject_validator_container([]),
            certificate.create_extensions_validator_container([]),
            certificate.create_spki_validator_container([]),
        ],
    )


def crl_linter():
    return crl.create_pkix_crl_validator_container(
        [
            pkix.create_attribute_decoder(name.ATTRIBUTE_TYPE_MAPPINGS),
            pkix.create_extension_decoder(extension.EXTENSION_MAPPINGS),
        ],
        [
            crl.create_issuer_validator_container([]),
            crl.create_validity_validator_container([]),
            crl.create_extensions_validator_container([]),
        ],
    )


def findings(linter, load, path):
    with open(path, "rb") as file:
        document = load(file, path)
    for result in linter.validate(document.root):
        for found in result.finding_descriptions:
            severity, code = found.finding.severity, found.finding.code
            if severity <= Severity.NOTICE and WAIVED.get(code) != found.message:
                yield f"{path}: {severity.name} {code} {found.message}"


def main():
    papers = json.load(sys.stdin)
    certificates = [papers["ca"]] + [one["compat"]["crt"] for one in papers["issued"]]
    pem = loader.DocumentFormat.PEM
    load = loader.RFC5280CertificateDocumentLoader().get_file_loader_func(pem)
    found = [text for path in certificates for text in findings(certificate_linter(), load, path)]
    load = loader.RFC5280CertificateListDocumentLoader().get_file_loader_func(pem)
    for path in (papers["empty_crl"], papers["crl"]):
        found += findings(crl_linter(), load, path)
    if found:
        sys.exit("\n".join(found))


main()
