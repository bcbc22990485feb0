package remote

// This file is what a server is told so that it lets us in, and how we know that it is the one.
//
// Secrets come from files or from the environment, never from the command line, which every user of a machine can read. They are not printed.

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"chainbuild/internal/private"
)

// Names of environment variables with secrets. They count where no file is named.
const (
	// TokenEnvironment has a token, as it would stand in a file for TokenFile.
	TokenEnvironment = "CHAINBUILD_REMOTE_TOKEN"
	// HeadersEnvironment has headers, as they would stand in a file for HeaderFile.
	HeadersEnvironment = "CHAINBUILD_REMOTE_HEADERS"
)

// Credentials name the files with which a server is talked to. All may be empty.
type Credentials struct {
	// TokenFile has a token, which is sent as a header "authorization: Bearer TOKEN".
	TokenFile string
	// HeaderFile has headers to send, NAME: VALUE, one a line.
	HeaderFile string
	// CAFile has the certificates, in PEM, of which one must have signed the server's; empty: the system's.
	CAFile string
	// CertFile and KeyFile are the certificate and the key, in PEM, by which the server knows the client.
	CertFile, KeyFile string
}

// secrets are what the files say.
type secrets struct {
	headers []header
	tls     *tls.Config // nil: the connection is not encrypted
}

// A header is sent with each call. Its name is in lower case.
type header struct{ name, value string }

const tokenHeader = "authorization"

// read reads the files, for a server.
func (c Credentials) read(a *Address) (*secrets, error) {
	s := &secrets{}
	source, text, err := secret("the headers", c.HeaderFile, HeadersEnvironment)
	if err != nil {
		return nil, err
	}
	if s.headers, err = parseHeaders(source, text); err != nil {
		return nil, err
	}
	source, text, err = secret("the token", c.TokenFile, TokenEnvironment)
	if err != nil {
		return nil, err
	}
	if token := string(bytes.TrimSpace(text)); token != "" || c.TokenFile != "" {
		if token == "" || !isHeaderValue(token) || strings.Contains(token, " ") {
			return nil, fmt.Errorf("%s has no token, which is one word of ASCII: see to it", source)
		}
		s.headers = slices.DeleteFunc(s.headers, func(h header) bool { return h.name == tokenHeader })
		s.headers = append(s.headers, header{tokenHeader, "Bearer " + token})
	}
	if !a.isEncrypted() {
		if c.CAFile != "" || c.CertFile != "" || c.KeyFile != "" {
			return nil, fmt.Errorf("certificates are of no use for %s, which is not encrypted: give an address with grpcs or https", a)
		}
		if len(s.headers) > 0 && !a.isHere() {
			return nil, fmt.Errorf("a token or a header would go to %s for everybody on the way to read: give an address with grpcs or https", a)
		}
		return s, nil
	}
	s.tls, err = c.tlsConfig()
	return s, err
}

func (c Credentials) tlsConfig() (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if c.CAFile != "" {
		text, err := os.ReadFile(c.CAFile)
		if err != nil {
			return nil, fmt.Errorf("the certificates of the remote cache cannot be read: %w", err)
		}
		if err := checkOwner(c.CAFile); err != nil {
			return nil, err
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(text) {
			return nil, fmt.Errorf("%s has no certificates in PEM: give --remote-ca-file the one that has signed the server's", c.CAFile)
		}
	}
	if c.CertFile == "" && c.KeyFile == "" {
		return config, nil
	}
	if c.CertFile == "" || c.KeyFile == "" {
		return nil, errors.New("a certificate and its key go together: give both --remote-cert-file and --remote-key-file")
	}
	certificate, err := os.ReadFile(c.CertFile)
	if err != nil {
		return nil, fmt.Errorf("the certificate for the remote cache cannot be read: %w", err)
	}
	key, err := readSecret("the key", c.KeyFile)
	if err != nil {
		return nil, err
	}
	pair, err := tls.X509KeyPair(certificate, key)
	if err != nil {
		return nil, fmt.Errorf("the certificate %s and the key %s do not fit (%w): give those that belong together", c.CertFile, c.KeyFile, err)
	}
	config.Certificates = []tls.Certificate{pair}
	return config, nil
}

// parseHeaders reads headers, one a line. Errors name lines, and nothing that stands in them.
func parseHeaders(source string, text []byte) ([]header, error) {
	var headers []header
	number := 0
	for line := range strings.Lines(string(text)) {
		number++
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		name, value, ok := strings.Cut(line, ":")
		name, value = strings.ToLower(strings.TrimSpace(name)), strings.TrimSpace(value)
		if !ok || !isHeaderName(name) || !isHeaderValue(value) {
			return nil, fmt.Errorf("%s:%d is no header: write NAME: VALUE, in ASCII", source, number)
		}
		headers = append(headers, header{name, value})
	}
	return headers, nil
}

// isHeaderName says whether both protocols take the name from a user. Those that begin with grpc- are gRPC's own.
func isHeaderName(name string) bool {
	return name != "" && strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789-_.") == "" &&
		!strings.HasPrefix(name, "grpc-") && !strings.HasSuffix(name, "-bin")
}

func isHeaderValue(value string) bool {
	return !strings.ContainsFunc(value, func(r rune) bool { return r < ' ' || r > '~' })
}

// secret is the content of a file, or where none is named of a variable, and which of them it is from.
func secret(what, file, variable string) (source string, text []byte, err error) {
	if file == "" {
		return variable, []byte(os.Getenv(variable)), nil
	}
	text, err = readSecret(what, file)
	return file, text, err
}

// readSecret reads a file that nobody else may read.
func readSecret(what, path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("%s for the remote cache cannot be read: %w", what, err)
	}
	if info.Mode().Perm()&0o004 != 0 {
		return nil, fmt.Errorf("every user of the machine can read %s, which is a secret: make it yours alone (chmod 600), and have a new one made if others may have read it", path)
	}
	if err := checkOwner(path); err != nil {
		return nil, err
	}
	const most = 1 << 20
	text, err := os.ReadFile(path)
	if err == nil && len(text) > most {
		err = errors.New("it is too large")
	}
	if err != nil {
		return nil, fmt.Errorf("%s for the remote cache cannot be read: %w", what, err)
	}
	return text, nil
}

// checkOwner refuses a file that another user could write: it decides whose code runs.
func checkOwner(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if !private.Is(info) {
		return fmt.Errorf("the file %s is not used, as another user could write it: make it yours alone (chown, chmod go-w)", path)
	}
	return nil
}
