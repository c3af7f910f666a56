// ORCA_USER, ORCA_PASSWORD: API用のユーザとパスワード / user and password for the API
const fs = require("node:fs");
const https = require("node:https");

const options = {
  auth: `${process.env.ORCA_USER}:${process.env.ORCA_PASSWORD}`,
  ca: fs.readFileSync(@CA@),
  cert: fs.readFileSync(@CRT@),
  key: fs.readFileSync(@ENC_PEM@),
  passphrase: @PASSPHRASE@,
};
https
  .get(@URL@ + "/api/api01rv2/patientgetv2?id=1", options, (response) => {
    response.pipe(process.stdout);
    process.exitCode = response.statusCode === 200 ? 0 : 1;
  })
  .on("error", (error) => {
    console.error(error.message);
    process.exitCode = 1;
  });
