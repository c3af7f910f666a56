# gem install websocket / apt-get install ruby-websocket
require "openssl"
require "socket"
require "websocket"

context = OpenSSL::SSL::SSLContext.new
context.verify_mode = OpenSSL::SSL::VERIFY_PEER
context.ca_file = @CA@
context.cert = OpenSSL::X509::Certificate.new(File.read(@CRT@))
context.key = OpenSSL::PKey.read(File.read(@ENC_PEM@), @PASSPHRASE@)

$stdout.sync = true
socket = OpenSSL::SSL::SSLSocket.new(TCPSocket.new(@HOST@, @PORT@), context)
socket.sync_close = true
socket.connect
socket.post_connection_check(@HOST@)

handshake = WebSocket::Handshake::Client.new(url: @WSS@)
socket.write(handshake.to_s)
handshake << socket.readline until handshake.finished?
abort "no WebSocket: #{handshake.error}" unless handshake.valid?
puts "connected"

incoming = WebSocket::Frame::Incoming::Client.new(version: handshake.version)
begin
  loop do
    incoming << socket.readpartial(4096)
    while (frame = incoming.next)
      puts frame
    end
  end
rescue EOFError
  puts "disconnected"
end
