# ORCA_USER, ORCA_PASSWORD: API用のユーザとパスワード / user and password for the API
import base64
import http.client
import os
import ssl
import sys

context = ssl.create_default_context(cafile=@CA@)
context.load_cert_chain(@CRT@, @ENC_PEM@, @PASSPHRASE@)
connection = http.client.HTTPSConnection(@HOST@, @PORT@, context=context, timeout=30)

user = f"{os.environ['ORCA_USER']}:{os.environ['ORCA_PASSWORD']}"
login = base64.b64encode(user.encode()).decode()
headers = {"Authorization": f"Basic {login}"}
connection.request("GET", "/api/api01rv2/patientgetv2?id=1", headers=headers)
response = connection.getresponse()
print(response.read().decode())
sys.exit(response.status != 200)
