package remotetest

// This file makes certificates for tests.

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// Certificates are files in PEM: an authority, and a server and a client that it knows. The server is 127.0.0.1.
type Certificates struct {
	CA, ServerCert, ServerKey, ClientCert, ClientKey string
}

// MakeCertificates makes them in a folder of the test.
func MakeCertificates(t testing.TB) Certificates {
	t.Helper()
	dir := t.TempDir()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	write := func(name, kind string, data []byte) string {
		path := filepath.Join(dir, name)
		must(os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: data}), 0o600))
		return path
	}
	number := int64(0)
	template := func(name string) *x509.Certificate {
		number++
		return &x509.Certificate{
			SerialNumber: big.NewInt(number), Subject: pkix.Name{CommonName: name},
			NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
			BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		}
	}
	authority := template("authority")
	authority.IsCA = true
	authorityKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(err)
	issue := func(name string, c *x509.Certificate, key *ecdsa.PrivateKey) (certFile, keyFile string) {
		data, err := x509.CreateCertificate(rand.Reader, c, authority, &key.PublicKey, authorityKey)
		must(err)
		secret, err := x509.MarshalPKCS8PrivateKey(key)
		must(err)
		return write(name+".pem", "CERTIFICATE", data), write(name+".key", "PRIVATE KEY", secret)
	}
	var c Certificates
	c.CA, _ = issue("ca", authority, authorityKey)
	for name, files := range map[string][2]*string{"server": {&c.ServerCert, &c.ServerKey}, "client": {&c.ClientCert, &c.ClientKey}} {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		must(err)
		one := template(name)
		one.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
		one.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1)}
		*files[0], *files[1] = issue(name, one, key)
	}
	return c
}
