import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.security.KeyStore;
import java.security.cert.CertificateFactory;
import java.time.Duration;
import javax.net.ssl.KeyManager;
import javax.net.ssl.KeyManagerFactory;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLParameters;
import javax.net.ssl.TrustManagerFactory;

/**
 * Calls with Java's HttpClient and the .p12 as key store.
 *
 * <p>java Client.java CA_FILE: reads one call a line (tab-separated: address, TLS version,
 * certificate, key, key under the passphrase, .p12, passphrase; empty where there is none) and
 * writes what came of it, one JSON object a line.
 */
final class Client {
    public static void main(String[] args) throws Exception {
        var trusted = trust(Path.of(args[0]));
        var input = new InputStreamReader(System.in, StandardCharsets.UTF_8);
        var lines = new BufferedReader(input);
        for (var line = lines.readLine(); line != null; line = lines.readLine()) {
            System.out.println(ask(trusted, line.split("\t", -1)));
        }
    }

    private static String ask(TrustManagerFactory trusted, String[] call) throws Exception {
        var context = SSLContext.getInstance("TLS");
        context.init(keys(call[5], call[6]), trusted.getTrustManagers(), null);
        var parameters = new SSLParameters();
        parameters.setProtocols(new String[] {"TLSv" + call[1]});
        var client =
                HttpClient.newBuilder().sslContext(context).sslParameters(parameters).build();
        var request =
                HttpRequest.newBuilder(URI.create(call[0]))
                        .header("Accept-Language", "ja")
                        .timeout(Duration.ofSeconds(30))
                        .build();
        try {
            var response = client.send(request, HttpResponse.BodyHandlers.ofString());
            return "{\"status\":%d,\"body\":%s}"
                    .formatted(response.statusCode(), quoted(response.body()));
        } catch (IOException error) {
            return "{\"error\":%s}".formatted(quoted(error.toString()));
        }
    }

    private static TrustManagerFactory trust(Path ca) throws Exception {
        var store = KeyStore.getInstance("PKCS12");
        store.load(null, null);
        try (InputStream file = Files.newInputStream(ca)) {
            var certificate = CertificateFactory.getInstance("X.509").generateCertificate(file);
            store.setCertificateEntry("ca", certificate);
        }
        var factory = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
        factory.init(store);
        return factory;
    }

    private static KeyManager[] keys(String p12, String passphrase)
            throws GeneralSecurityException, IOException {
        if (p12.isEmpty()) {
            return new KeyManager[0];
        }
        var store = KeyStore.getInstance(Path.of(p12).toFile(), passphrase.toCharArray());
        var factory = KeyManagerFactory.getInstance(KeyManagerFactory.getDefaultAlgorithm());
        factory.init(store, passphrase.toCharArray());
        return factory.getKeyManagers();
    }

    /** A JSON string in ASCII (RFC 8259, section 7). */
    private static String quoted(String text) {
        var json = new StringBuilder("\"");
        for (char c : text.toCharArray()) {
            if (c == '"' || c == '\\') {
                json.append('\\').append(c);
            } else if (c < ' ' || c > '~') {
                json.append("\\u%04x".formatted((int) c));
            } else {
                json.append(c);
            }
        }
        return json.append('"').toString();
    }
}
