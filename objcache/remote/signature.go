package remote

// This file is signatures of results.
//
// A result says which data an action has. Whoever can write to the server can say so too, and data is code. So a result may carry a signature, as a
// second output beside the data, with the same name and ".signature" behind it. It is text of one line:
//
//	ed25519 PUBLIC-KEY SIGNATURE          both in base64
//
// What is signed is the text
//
//	chainbuild remote result 1
//	action HASH/SIZE
//	data HASH/SIZE
//
// with a line feed behind each line. The action holds the key of the object cache, so a signature says: this data is what was made for this key.
// It cannot be used for another action or other data. The signature is found by the result's own list of outputs, which is not signed itself: one that
// leads elsewhere leads to a signature that does not fit.
//
// Keys are those of `openssl genpkey -algorithm ed25519` and `openssl pkey -pubout`: PKCS #8 and PKIX in PEM.

import (
	"bytes"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"os"
	"strings"
)

const (
	signatureSuffix = ".signature"
	signatureKind   = "ed25519"
	// maxSignature is the size, in bytes, above which a file is no signature.
	maxSignature = 1 << 10
)

// signedText is what is signed.
func signedText(action, data digest) []byte {
	return fmt.Appendf(nil, "chainbuild remote result 1\naction %s/%d\ndata %s/%d\n", action.hash, action.size, data.hash, data.size)
}

// sign makes the signature's file.
func sign(key ed25519.PrivateKey, action, data digest) []byte {
	encode := base64.StdEncoding.EncodeToString
	return fmt.Appendln(nil, signatureKind, encode(key.Public().(ed25519.PublicKey)), encode(ed25519.Sign(key, signedText(action, data))))
}

// isSigned says whether the file is a signature of the data for the action, by one of the keys.
func isSigned(file []byte, action, data digest, trusted []ed25519.PublicKey) bool {
	words := strings.Fields(string(file))
	if len(words) != 3 || words[0] != signatureKind {
		return false
	}
	key, keyErr := base64.StdEncoding.DecodeString(words[1])
	signature, err := base64.StdEncoding.DecodeString(words[2])
	if keyErr != nil || err != nil {
		return false
	}
	for _, known := range trusted {
		if bytes.Equal(known, key) {
			return ed25519.Verify(known, signedText(action, data), signature)
		}
	}
	return false
}

// readSigner reads a private key; nil for no file.
func readSigner(path string) (ed25519.PrivateKey, error) {
	if path == "" {
		return nil, nil
	}
	text, err := readSecret("the key", path)
	if err != nil {
		return nil, err
	}
	refuse := fmt.Errorf("%s has no private key for signatures: make one with `openssl genpkey -algorithm ed25519 -out %[1]s`", path)
	block, rest := pem.Decode(text)
	if block == nil || len(bytes.TrimSpace(rest)) > 0 {
		return nil, refuse
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	key, ok := parsed.(ed25519.PrivateKey)
	if err != nil || !ok {
		return nil, refuse
	}
	return key, nil
}

// readTrusted reads a list of public keys; nil for no file.
func readTrusted(path string) ([]ed25519.PublicKey, error) {
	if path == "" {
		return nil, nil
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("the keys to trust cannot be read: %w", err)
	}
	if err := checkOwner(path); err != nil {
		return nil, err
	}
	refuse := func(number int) error {
		return fmt.Errorf("%s: number %d is no public key for signatures: write each with `openssl pkey -in KEY -pubout`, one behind the other", path, number)
	}
	var keys []ed25519.PublicKey
	for rest := bytes.TrimSpace(text); len(rest) > 0; rest = bytes.TrimSpace(rest) {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			return nil, refuse(len(keys) + 1)
		}
		parsed, err := x509.ParsePKIXPublicKey(block.Bytes)
		key, ok := parsed.(ed25519.PublicKey)
		if err != nil || !ok {
			return nil, refuse(len(keys) + 1)
		}
		keys = append(keys, key)
	}
	if keys == nil {
		return nil, refuse(1)
	}
	return keys, nil
}
