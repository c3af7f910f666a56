"""Calls with Python's own ssl, or with requests.

client.py ssl|requests CA_FILE: reads one call a line (tab-separated: address, TLS version,
certificate, key, key under the passphrase, .p12, passphrase; empty where there is none) and writes
what came of it, one JSON object a line.
"""

import http.client
import json
import ssl
import sys
import urllib.parse


def context(ca, call):
    """The encrypted key and its passphrase are what ssl can read of a delivery."""
    made = ssl.create_default_context(cafile=ca)
    version = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}[call["version"]]
    made.minimum_version = made.maximum_version = version
    if call["crt"]:
        made.load_cert_chain(call["crt"], call["enc_pem"], call["passphrase"])
    return made


def with_ssl(ca, call):
    url = urllib.parse.urlsplit(call["url"])
    connection = http.client.HTTPSConnection(url.netloc, timeout=30, context=context(ca, call))
    try:
        connection.request("GET", url.path, headers={"Accept-Language": "ja"})
        response = connection.getresponse()
        return response.status, response.read().decode()
    finally:
        connection.close()


def with_requests(ca, call):
    """The plain key, since requests asks for no passphrase; the version needs an adapter."""
    import requests
    import requests.adapters

    class OneVersion(requests.adapters.HTTPAdapter):
        def init_poolmanager(self, *args, **kwargs):
            bare = {**call, "crt": ""}
            super().init_poolmanager(*args, ssl_context=context(ca, bare), **kwargs)

    with requests.Session() as session:
        session.trust_env = False
        session.mount("https://", OneVersion())
        session.verify = ca
        if call["crt"]:
            session.cert = (call["crt"], call["pem"])
        response = session.get(call["url"], timeout=30, headers={"Accept-Language": "ja"})
        return response.status_code, response.content.decode()


def main():
    ask = {"ssl": with_ssl, "requests": with_requests}[sys.argv[1]]
    names = ["url", "version", "crt", "pem", "enc_pem", "p12", "passphrase"]
    for line in sys.stdin:
        call = dict(zip(names, line.rstrip("\n").split("\t"), strict=True))
        try:
            status, body = ask(sys.argv[2], call)
            answer = {"status": status, "body": body}
        except OSError as error:
            answer = {"error": str(error)}
        print(json.dumps(answer), flush=True)


main()
