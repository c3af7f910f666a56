# Calls with Ruby's Net::HTTP, or speaks WebSocket over OpenSSL with the gem websocket; both with
# the .p12, as the programs do that take the application's notices.
#
# client.rb http|websocket CA_FILE: reads one call a line (tab-separated: address, TLS version,
# certificate, key, key under the passphrase, .p12, passphrase; empty where there is none) and
# writes what came of it, one JSON object a line.

require "json"
require "net/http"
require "openssl"
require "socket"
require "uri"
require "websocket"

Call = Struct.new(:url, :version, :crt, :pem, :enc_pem, :p12, :passphrase) do
  def uri
    URI.parse(url)
  end

  def key_store
    OpenSSL::PKCS12.new(File.binread(p12), passphrase) unless p12.empty?
  end

  def tls
    { "1.2" => OpenSSL::SSL::TLS1_2_VERSION, "1.3" => OpenSSL::SSL::TLS1_3_VERSION }.fetch(version)
  end
end

def http(authority, call)
  http = Net::HTTP.new(call.uri.host, call.uri.port, nil)
  http.use_ssl = true
  http.verify_mode = OpenSSL::SSL::VERIFY_PEER
  http.ca_file = authority
  http.min_version = http.max_version = call.tls
  http.max_retries = 0
  store = call.key_store
  http.cert, http.key = store.certificate, store.key if store
  response = http.start { http.get(call.uri.path, "Accept-Language" => "ja") }
  { status: response.code.to_i, body: response.body.force_encoding(Encoding::UTF_8) }
end

def websocket(authority, call)
  socket = connect(authority, call)
  handshake = WebSocket::Handshake::Client.new(url: call.url.sub("https:", "wss:"))
  socket.write(handshake.to_s)
  head = +""
  head << socket.readline until head.end_with?("\r\n\r\n")
  status = head[/\AHTTP\/1\.1 (\d+)/, 1].to_i
  return { status: status, body: socket.read.force_encoding(Encoding::UTF_8) } if status != 101

  handshake << head
  raise OpenSSL::SSL::SSLError, "no WebSocket: #{handshake.error}" unless handshake.valid?

  { status: status, body: echo(socket, handshake.version, "受付 1 番") }
ensure
  socket&.close
end

def connect(authority, call)
  context = OpenSSL::SSL::SSLContext.new
  context.verify_mode = OpenSSL::SSL::VERIFY_PEER
  context.ca_file = authority
  context.min_version = context.max_version = call.tls
  store = call.key_store
  context.cert, context.key = store.certificate, store.key if store
  socket = OpenSSL::SSL::SSLSocket.new(TCPSocket.new(call.uri.host, call.uri.port), context)
  socket.sync_close = true
  socket.connect
  socket.post_connection_check(call.uri.host)
  socket
end

# Sends a text and gives what comes back.
def echo(socket, version, text)
  frame = WebSocket::Frame::Outgoing::Client.new(version: version, data: text, type: :text)
  socket.write(frame.to_s)
  incoming = WebSocket::Frame::Incoming::Client.new(version: version)
  loop do
    incoming << socket.readpartial(4096)
    answer = incoming.next
    return answer.to_s if answer
  end
end

ask = { "http" => method(:http), "websocket" => method(:websocket) }.fetch(ARGV[0])
$stdout.sync = true
$stdin.each_line(chomp: true) do |line|
  answer =
    begin
      ask.call(ARGV[1], Call.new(*line.split("\t", -1)))
    rescue OpenSSL::SSL::SSLError, SystemCallError, IOError => error
      { error: "#{error.class}: #{error.message}" }
    end
  puts JSON.generate(answer)
end
