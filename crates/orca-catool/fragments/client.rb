# ORCA_USER, ORCA_PASSWORD: API用のユーザとパスワード / user and password for the API
require "net/http"
require "openssl"

http = Net::HTTP.new(@HOST@, @PORT@, nil)
http.use_ssl = true
http.ca_file = @CA@
http.cert = OpenSSL::X509::Certificate.new(File.read(@CRT@))
http.key = OpenSSL::PKey.read(File.read(@ENC_PEM@), @PASSPHRASE@)

request = Net::HTTP::Get.new("/api/api01rv2/patientgetv2?id=1")
request.basic_auth(ENV.fetch("ORCA_USER"), ENV.fetch("ORCA_PASSWORD"))
response = http.start { |connection| connection.request(request) }
puts response.body
exit response.is_a?(Net::HTTPSuccess)
