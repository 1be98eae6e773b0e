/*
 * BcSmime.java - Bouncy Castle's and JavaMail's opinion of S/MIME messages. One process does many jobs, for a Java
 * machine takes longer to start than to verify. Run from the source: java -cp JARS BcSmime.java < JOBS; a job is a line
 * of words parted by tabs, its answer a line "NAME<TAB>ok" or "NAME<TAB>no<TAB>REASON".
 *
 *   NAME verify  MESSAGE ROOT OUT                   signature and chain; what was signed goes to OUT
 *   NAME decrypt MESSAGE KEY CERTIFICATE OUT
 *   NAME sign    clear|opaque DIGEST pkcs1|pss KEY CERTIFICATE CHAIN ENTITY OUT FROM
 * Keys, certificates and chains are PEM files, messages and entities have CRLF lines.
 */
import java.io.BufferedReader;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.FileReader;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.Key;
import java.security.KeyStore;
import java.security.PrivateKey;
import java.security.Security;
import java.security.cert.CertPathBuilder;
import java.security.cert.CertStore;
import java.security.cert.CollectionCertStoreParameters;
import java.security.cert.PKIXBuilderParameters;
import java.security.cert.X509CertSelector;
import java.security.cert.X509Certificate;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;
import java.util.Properties;
import javax.crypto.Cipher;
import javax.crypto.spec.GCMParameterSpec;
import javax.mail.Session;
import javax.mail.internet.MimeMessage;
import javax.mail.internet.MimeMultipart;
import org.bouncycastle.asn1.cms.GCMParameters;
import org.bouncycastle.asn1.pkcs.PrivateKeyInfo;
import org.bouncycastle.asn1.x509.AlgorithmIdentifier;
import org.bouncycastle.asn1.x509.SubjectPublicKeyInfo;
import org.bouncycastle.cert.X509CertificateHolder;
import org.bouncycastle.cert.jcajce.JcaCertStore;
import org.bouncycastle.cert.jcajce.JcaX509CertificateConverter;
import org.bouncycastle.cms.CMSAuthEnvelopedData;
import org.bouncycastle.cms.CMSEnvelopedData;
import org.bouncycastle.cms.CMSException;
import org.bouncycastle.cms.CMSProcessableByteArray;
import org.bouncycastle.cms.CMSSignedData;
import org.bouncycastle.cms.CMSSignedDataGenerator;
import org.bouncycastle.cms.KeyAgreeRecipientId;
import org.bouncycastle.cms.KeyTransRecipientId;
import org.bouncycastle.cms.Recipient;
import org.bouncycastle.cms.RecipientInformation;
import org.bouncycastle.cms.RecipientInformationStore;
import org.bouncycastle.cms.RecipientOperator;
import org.bouncycastle.cms.SignerInformation;
import org.bouncycastle.cms.jcajce.JcaSignerInfoGeneratorBuilder;
import org.bouncycastle.cms.jcajce.JcaSimpleSignerInfoVerifierBuilder;
import org.bouncycastle.cms.jcajce.JceKeyAgreeEnvelopedRecipient;
import org.bouncycastle.cms.jcajce.JceKeyAgreeRecipient;
import org.bouncycastle.cms.jcajce.JceKeyTransAuthEnvelopedRecipient;
import org.bouncycastle.cms.jcajce.JceKeyTransEnvelopedRecipient;
import org.bouncycastle.jce.provider.BouncyCastleProvider;
import org.bouncycastle.mail.smime.SMIMESigned;
import org.bouncycastle.openssl.PEMKeyPair;
import org.bouncycastle.openssl.PEMParser;
import org.bouncycastle.openssl.jcajce.JcaPEMKeyConverter;
import org.bouncycastle.operator.InputAEADDecryptor;
import org.bouncycastle.operator.jcajce.JcaContentSignerBuilder;
import org.bouncycastle.operator.jcajce.JcaDigestCalculatorProviderBuilder;

public class BcSmime {
	public static void main(String[] args) throws Exception {
		Security.addProvider(new BouncyCastleProvider());
		BufferedReader jobs = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
		for (String line = jobs.readLine(); line != null; line = jobs.readLine()) {
			String[] job = line.split("\t", -1);
			System.out.println(job[0] + "\t" + answer(job));
		}
	}

	private static String answer(String[] job) {
		try {
			switch (job[1]) {
			case "verify":
				verify(Path.of(job[2]), certificates(job[3]).get(0), Path.of(job[4]));
				return "ok";
			case "decrypt":
				decrypt(Path.of(job[2]), key(job[3]), certificates(job[4]).get(0), Path.of(job[5]));
				return "ok";
			case "sign":
				sign(job);
				return "ok";
			default:
				return "no\tunknown job " + job[1];
			}
		} catch (Exception e) {
			return "no\t" + e.toString().replaceAll("[\t\r\n]", " ");
		}
	}

	// PEM

	private static List<X509Certificate> certificates(String file) throws Exception {
		List<X509Certificate> found = new ArrayList<>();
		try (PEMParser parser = new PEMParser(new FileReader(file))) {
			for (Object object = parser.readObject(); object != null; object = parser.readObject())
				if (object instanceof X509CertificateHolder)
					found.add(new JcaX509CertificateConverter().getCertificate((X509CertificateHolder)object));
		}
		return found;
	}

	private static PrivateKey key(String file) throws Exception {
		try (PEMParser parser = new PEMParser(new FileReader(file))) {
			for (Object object = parser.readObject(); object != null; object = parser.readObject()) {
				if (object instanceof PEMKeyPair)
					object = ((PEMKeyPair)object).getPrivateKeyInfo();
				if (object instanceof PrivateKeyInfo)
					return new JcaPEMKeyConverter().getPrivateKey((PrivateKeyInfo)object);
			}
		}
		throw new Exception("no key in " + file);
	}

	// Messages are read by JavaMail, as a Java mail program would.

	private static MimeMessage message(Path file) throws Exception {
		return new MimeMessage(Session.getInstance(new Properties()), new ByteArrayInputStream(Files.readAllBytes(file)));
	}

	private static byte[] attachment(MimeMessage message) throws Exception {
		if (!message.isMimeType("application/pkcs7-mime"))
			throw new Exception("not S/MIME: " + message.getContentType());
		return message.getInputStream().readAllBytes();
	}

	private static void verify(Path file, X509Certificate root, Path out) throws Exception {
		MimeMessage message = message(file);
		CMSSignedData signed;
		byte[] content;

		if (message.isMimeType("multipart/signed")) {
			SMIMESigned smime = new SMIMESigned((MimeMultipart)message.getContent());
			ByteArrayOutputStream written = new ByteArrayOutputStream();
			smime.getSignedContent().write(written);
			signed = smime;
			content = written.toByteArray();
		} else {
			signed = new CMSSignedData(attachment(message));
			content = (byte[])signed.getSignedContent().getContent();
		}
		if (signed.getSignerInfos().size() == 0)
			throw new Exception("nobody signed");
		for (SignerInformation signer : signed.getSignerInfos())
			verifySigner(signed, signer, root);
		Files.write(out, content);
	}

	@SuppressWarnings("unchecked")
	private static void verifySigner(CMSSignedData signed, SignerInformation signer, X509Certificate root)
			throws Exception {
		JcaX509CertificateConverter converter = new JcaX509CertificateConverter();
		List<X509Certificate> carried = new ArrayList<>();
		X509CertSelector target = new X509CertSelector();
		KeyStore anchors = KeyStore.getInstance(KeyStore.getDefaultType());

		for (X509CertificateHolder holder : signed.getCertificates().getMatches(null))
			carried.add(converter.getCertificate(holder));
		for (Object holder : signed.getCertificates().getMatches(signer.getSID()))
			target.setCertificate(converter.getCertificate((X509CertificateHolder)holder));
		if (target.getCertificate() == null)
			throw new Exception("the signer's certificate is not there");
		if (!signer.verify(new JcaSimpleSignerInfoVerifierBuilder().setProvider("BC").build(target.getCertificate())))
			throw new Exception("the signature is not valid");
		anchors.load(null, null);
		anchors.setCertificateEntry("root", root);
		PKIXBuilderParameters parameters = new PKIXBuilderParameters(anchors, target);
		parameters.addCertStore(CertStore.getInstance("Collection", new CollectionCertStoreParameters(carried)));
		parameters.setRevocationEnabled(false);
		CertPathBuilder.getInstance("PKIX").build(parameters);
	}

	// Bouncy Castle 1.72 has no ready-made recipient for key agreement with AuthEnvelopedData: this is made of its parts.
	private static final class AgreedGcmRecipient extends JceKeyAgreeRecipient {
		private final byte[] mac;

		AgreedGcmRecipient(PrivateKey key, byte[] mac) {
			super(key);
			this.mac = mac;
		}

		@Override
		public RecipientOperator getRecipientOperator(AlgorithmIdentifier wrap, AlgorithmIdentifier content,
				SubjectPublicKeyInfo sender, org.bouncycastle.asn1.ASN1OctetString ukm, byte[] encryptedKey)
				throws CMSException {
			return new RecipientOperator(new GcmDecryptor(extractSecretKey(wrap, content, sender, ukm, encryptedKey),
					content, mac));
		}
	}

	private static final class GcmDecryptor implements InputAEADDecryptor {
		private final Key key;
		private final AlgorithmIdentifier algorithm;
		private final byte[] mac;
		private final ByteArrayOutputStream additional = new ByteArrayOutputStream();

		GcmDecryptor(Key key, AlgorithmIdentifier algorithm, byte[] mac) {
			this.key = key;
			this.algorithm = algorithm;
			this.mac = mac;
		}

		@Override
		public AlgorithmIdentifier getAlgorithmIdentifier() {
			return algorithm;
		}

		@Override
		public InputStream getInputStream(InputStream encrypted) {
			try {
				GCMParameters parameters = GCMParameters.getInstance(algorithm.getParameters());
				Cipher cipher = Cipher.getInstance("AES/GCM/NoPadding", "BC");
				ByteArrayOutputStream all = new ByteArrayOutputStream();
				cipher.init(Cipher.DECRYPT_MODE, key,
						new GCMParameterSpec(parameters.getIcvLen() * 8, parameters.getNonce()));
				cipher.updateAAD(additional.toByteArray());
				encrypted.transferTo(all);		// the tag comes last
				return new ByteArrayInputStream(cipher.doFinal(all.toByteArray()));
			} catch (Exception e) {
				throw new IllegalStateException(e);
			}
		}

		@Override
		public OutputStream getAADStream() {
			return additional;
		}

		@Override
		public byte[] getMAC() {
			return mac;
		}
	}

	private static void decrypt(Path file, PrivateKey key, X509Certificate own, Path out) throws Exception {
		byte[] object = attachment(message(file));
		boolean agreed = key.getAlgorithm().startsWith("EC");
		RecipientInformationStore recipients;
		Recipient recipient;

		try {
			CMSEnvelopedData data = new CMSEnvelopedData(object);
			recipients = data.getRecipientInfos();
			recipient = agreed ? new JceKeyAgreeEnvelopedRecipient(key).setProvider("BC")
					: new JceKeyTransEnvelopedRecipient(key).setProvider("BC");
		} catch (CMSException | IllegalArgumentException | ClassCastException e) {
			CMSAuthEnvelopedData data = new CMSAuthEnvelopedData(object);
			recipients = data.getRecipientInfos();
			recipient = agreed ? new AgreedGcmRecipient(key, data.getMac()).setProvider("BC")
					: new JceKeyTransAuthEnvelopedRecipient(key).setProvider("BC");
		}
		X509CertificateHolder holder = new X509CertificateHolder(own.getEncoded());
		RecipientInformation mine = recipients.get(agreed
				? new KeyAgreeRecipientId(holder.getIssuer(), holder.getSerialNumber())
				: new KeyTransRecipientId(holder.getIssuer(), holder.getSerialNumber()));
		if (mine == null)
			throw new Exception("not encrypted to this certificate");
		Files.write(out, mine.getContent(recipient));
	}

	private static void sign(String[] job) throws Exception {
		boolean clear = job[2].equals("clear");
		PrivateKey key = key(job[5]);
		X509Certificate own = certificates(job[6]).get(0);
		List<X509Certificate> carried = certificates(job[7]);
		byte[] entity = Files.readAllBytes(Path.of(job[8]));
		String algorithm = job[3].toUpperCase() + "with" + (!key.getAlgorithm().equals("RSA") ? "ECDSA"
				: job[4].equals("pss") ? "RSAandMGF1" : "RSA");
		CMSSignedDataGenerator generator = new CMSSignedDataGenerator();

		carried.add(0, own);
		generator.addSignerInfoGenerator(new JcaSignerInfoGeneratorBuilder(new JcaDigestCalculatorProviderBuilder()
				.setProvider("BC").build()).build(new JcaContentSignerBuilder(algorithm).setProvider("BC").build(key), own));
		generator.addCertificates(new JcaCertStore(carried));
		byte[] object = generator.generate(new CMSProcessableByteArray(entity), !clear).getEncoded();
		Files.write(Path.of(job[9]), clear ? clearMessage(entity, object, job[3], job[10]) : opaqueMessage(object, job[10]));
	}

	private static byte[] join(Object... parts) throws Exception {
		ByteArrayOutputStream out = new ByteArrayOutputStream();
		for (Object part : parts)
			out.write(part instanceof byte[] ? (byte[])part : part.toString().getBytes(StandardCharsets.US_ASCII));
		return out.toByteArray();
	}

	private static String header(String from) {
		return "From: <" + from + ">\r\nTo: <bob@example.com>\r\nSubject: by Bouncy Castle\r\nMIME-Version: 1.0\r\n";
	}

	private static byte[] clearMessage(byte[] entity, byte[] object, String digest, String from) throws Exception {
		return join(header(from), "Content-Type: multipart/signed; protocol=\"application/pkcs7-signature\"; micalg=",
				digest.replace("sha", "sha-"), "; boundary=\"b-c\"\r\n\r\n--b-c\r\n", entity, "\r\n--b-c\r\n",
				"Content-Type: application/pkcs7-signature; name=smime.p7s\r\nContent-Transfer-Encoding: base64\r\n\r\n",
				Base64.getMimeEncoder().encode(object), "\r\n--b-c--\r\n");
	}

	private static byte[] opaqueMessage(byte[] object, String from) throws Exception {
		return join(header(from), "Content-Type: application/pkcs7-mime; smime-type=signed-data; name=smime.p7m\r\n",
				"Content-Transfer-Encoding: base64\r\n\r\n", Base64.getMimeEncoder().encode(object), "\r\n");
	}
}
