# ORCA_USER, ORCA_PASSWORD: API用のユーザとパスワード / user and password for the API
curl --silent --show-error --fail-with-body --noproxy '*' \
  --cacert @CA@ \
  --cert @CRT@ \
  --key @PEM@ \
  --user "$ORCA_USER:$ORCA_PASSWORD" \
  @URL@'/api/api01rv2/patientgetv2?id=1'
