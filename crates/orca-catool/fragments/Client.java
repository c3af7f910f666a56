// java Client.java
// ORCA_USER, ORCA_PASSWORD: API用のユーザとパスワード / user and password for the API
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyFactory;
import java.security.KeyStore;
import java.security.cert.Certificate;
import java.security.cert.CertificateFactory;
import java.security.spec.PKCS8EncodedKeySpec;
import java.util.Base64;
import javax.net.ssl.KeyManagerFactory;
import javax.net.ssl.SSLContext;
import javax.net.ssl.TrustManagerFactory;

final class Client {
    public static void main(String[] args) throws Exception {
        var certificate = certificate(@CRT@);
        var pem = Files.readString(Path.of(@PEM@)).replaceAll("-----[^-]+-----|\\s", "");
        var key = KeyFactory.getInstance(certificate.getPublicKey().getAlgorithm())
                .generatePrivate(new PKCS8EncodedKeySpec(Base64.getDecoder().decode(pem)));

        var keys = KeyStore.getInstance("PKCS12");
        keys.load(null, null);
        keys.setKeyEntry("client", key, new char[0], new Certificate[] {certificate});
        var own = KeyManagerFactory.getInstance(KeyManagerFactory.getDefaultAlgorithm());
        own.init(keys, new char[0]);

        var authorities = KeyStore.getInstance("PKCS12");
        authorities.load(null, null);
        authorities.setCertificateEntry("ca", certificate(@CA@));
        var trusted = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
        trusted.init(authorities);

        var context = SSLContext.getInstance("TLS");
        context.init(own.getKeyManagers(), trusted.getTrustManagers(), null);
        var user = System.getenv("ORCA_USER") + ":" + System.getenv("ORCA_PASSWORD");
        var login = Base64.getEncoder().encodeToString(user.getBytes("UTF-8"));
        var address = URI.create(@URL@ + "/api/api01rv2/patientgetv2?id=1");
        var request = HttpRequest.newBuilder(address).header("Authorization", "Basic " + login);
        var client = HttpClient.newBuilder().sslContext(context).build();
        var response = client.send(request.build(), HttpResponse.BodyHandlers.ofString());
        System.out.println(response.body());
        System.exit(response.statusCode() == 200 ? 0 : 1);
    }

    private static Certificate certificate(String path) throws Exception {
        try (var file = Files.newInputStream(Path.of(path))) {
            return CertificateFactory.getInstance("X.509").generateCertificate(file);
        }
    }
}
