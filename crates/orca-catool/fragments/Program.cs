// .NET 8
// ORCA_USER, ORCA_PASSWORD: API用のユーザとパスワード / user and password for the API
using System.Net.Http.Headers;
using System.Security.Cryptography.X509Certificates;
using System.Text;

var authority = X509Certificate2.CreateFromPem(File.ReadAllText(@CA@));
using var client = X509Certificate2.CreateFromEncryptedPemFile(@CRT@, @PASSPHRASE@, @ENC_PEM@);
// Windows (SChannel) wants the key in a store of its own.
using var identity = new X509Certificate2(client.Export(X509ContentType.Pkcs12));

using var handler = new HttpClientHandler();
handler.ClientCertificates.Add(identity);
handler.ServerCertificateCustomValidationCallback = (_, server, chain, errors) =>
{
    if (server is null || chain is null
        || errors.HasFlag(System.Net.Security.SslPolicyErrors.RemoteCertificateNameMismatch))
    {
        return false;
    }
    chain.ChainPolicy.TrustMode = X509ChainTrustMode.CustomRootTrust;
    chain.ChainPolicy.CustomTrustStore.Add(authority);
    chain.ChainPolicy.RevocationMode = X509RevocationMode.NoCheck;
    return chain.Build(server);
};

using var http = new HttpClient(handler) { BaseAddress = new Uri(@URL@) };
var user = Environment.GetEnvironmentVariable("ORCA_USER");
var password = Environment.GetEnvironmentVariable("ORCA_PASSWORD");
var login = Convert.ToBase64String(Encoding.UTF8.GetBytes($"{user}:{password}"));
http.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Basic", login);
Console.WriteLine(await http.GetStringAsync("/api/api01rv2/patientgetv2?id=1"));
