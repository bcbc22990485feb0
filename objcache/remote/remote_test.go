package remote

// Tests with the server of package remotetest. Real servers are asked in bazelremote_test.go, faults are made in faults_test.go.

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	mrand "math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"chainbuild/objcache"
	"chainbuild/objcache/remote/remotetest"

	"google.golang.org/grpc"
	grpccredentials "google.golang.org/grpc/credentials"
)

// computation is one of many that differ in their input.
func computation(number int) *objcache.Computation {
	code := fmt.Appendf(nil, "code %d", number)
	h := objcache.NewHash("test")
	h.Add("code", code)
	return &objcache.Computation{
		Key: h.Key(), Arguments: []string{"compile", "code.bc"}, Output: "code.o",
		Files:    map[string][]byte{"code.bc": code, "worker/a.jl": []byte("a"), "worker/b.jl": []byte("b")},
		Platform: map[string]string{"libjulia": "1", "libLLVM": "2"}, Environment: map[string]string{"X": "y"},
	}
}

// object is data of some size that is the same for the same number, half of which compresses.
func object(number, size int) []byte {
	data := make([]byte, size)
	mrand.NewChaCha8([32]byte{byte(number), byte(number >> 8)}).Read(data[:size/2])
	return data
}

// A client is a cache that notes what it is warned of.
type client struct {
	*Cache
	mu       sync.Mutex
	warnings []string
}

func (c *client) warned() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.warnings
}

// connect opens a cache that is closed, if it is not before, when the test ends; then no goroutine of it is left.
func connect(t *testing.T, o Options) *client {
	t.Helper()
	c := &client{}
	o.Warn = func(err error) {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.warnings = append(c.warnings, err.Error())
	}
	if o.Wait == 0 {
		o.Wait = 20 * time.Second // the tests' machine may be busy
	}
	var err error
	if c.Cache, err = Open(o); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.close)
	return c
}

func (c *client) close() { c.Cache.Close(context.Background()) }

// stored stores objects of these sizes with a cache of its own.
func stored(t *testing.T, o Options, sizes ...int) {
	t.Helper()
	c := connect(t, o)
	for i, size := range sizes {
		c.Put(NewAction(computation(i)), object(i, size))
	}
	c.close()
	if counts := c.Counts(); counts.Stored != len(sizes) || counts.Unstored != 0 || len(c.warned()) != 0 {
		t.Fatalf("of %d objects %d were stored, with the warnings %q", len(sizes), counts.Stored, c.warned())
	}
}

// finds checks that objects of these sizes are there, all asked for at once.
func finds(t *testing.T, c *client, sizes ...int) {
	t.Helper()
	var all sync.WaitGroup
	for i, size := range sizes {
		all.Go(func() {
			data, ok := c.Get(t.Context(), NewAction(computation(i)))
			if !ok || !bytes.Equal(data, object(i, size)) {
				t.Errorf("object %d: %v, %d bytes instead of %d", i, ok, len(data), size)
			}
		})
	}
	all.Wait()
	if warned := c.warned(); len(warned) != 0 {
		t.Errorf("there are the warnings %q", warned)
	}
}

// sizes are those of some objects: empty, small ones, as large as a batch, larger.
var sizes = []int{0, 1, 100, 50_000, 50_000, 1 << 20, 4<<20 - 64<<10, 4 << 20, 9 << 20}

func TestStoreAndFind(t *testing.T) {
	for _, test := range []struct {
		name   string
		server *remotetest.Server
		http   bool
	}{
		{name: "plain", server: &remotetest.Server{}},
		{name: "instance", server: &remotetest.Server{Instance: "team/a"}},
		{name: "small batches", server: &remotetest.Server{BatchBytes: 60_000}},
		{name: "zstd", server: &remotetest.Server{Zstd: true}},
		{name: "zstd, small batches", server: &remotetest.Server{Zstd: true, BatchBytes: 60_000, Instance: "x"}},
		{name: "HTTP", server: &remotetest.Server{}, http: true},
		{name: "HTTP, zstd", server: &remotetest.Server{Zstd: true, Instance: "path/to"}, http: true},
	} {
		t.Run(test.name, func(t *testing.T) {
			leaks := goroutines()
			server := test.server
			o := Options{}
			if test.http {
				o.URL = "http://" + server.StartHTTP(t) + "/" + server.Instance
			} else {
				o.URL = "grpc://" + server.Start(t) + "/" + server.Instance
			}
			before := connect(t, o)
			if _, ok := before.Get(t.Context(), NewAction(computation(0))); ok {
				t.Error("an empty server has something")
			}
			before.close()
			stored(t, o, sizes...)
			c := connect(t, o)
			finds(t, c, sizes...)
			if counts := c.Counts(); counts.Hits != len(sizes) {
				t.Errorf("%d of %d were found", counts.Hits, len(sizes))
			}
			c.close()
			leaks(t)
		})
	}
}

// goroutines returns a check that there are no more goroutines of this package than now.
func goroutines() func(*testing.T) {
	count := func() int {
		stacks := make([]byte, 4<<20)
		stacks = stacks[:runtime.Stack(stacks, true)]
		return strings.Count(string(stacks), "objcache/remote.")
	}
	before := count()
	return func(t *testing.T) {
		t.Helper()
		for range 200 {
			if count() <= before {
				return
			}
			time.Sleep(10 * time.Millisecond)
		}
		stacks := make([]byte, 1<<20)
		t.Errorf("%d goroutines are left of %d:\n%s", count(), before, stacks[:runtime.Stack(stacks, true)])
	}
}

// Look-ups travel together: there are fewer calls than blobs.
func TestBatches(t *testing.T) {
	server := &remotetest.Server{}
	o := Options{URL: "grpc://" + server.Start(t)}
	many := make([]int, 300)
	for i := range many {
		many[i] = 20_000
	}
	stored(t, o, many...)
	finds(t, connect(t, o), many...)
	if n := server.Calls("BatchReadBlobs"); n > len(many)/3 {
		t.Errorf("%d blobs were read in %d batches", len(many), n)
	}
	if n := server.Calls("BatchUpdateBlobs"); n > len(many)/3 {
		t.Errorf("%d blobs were written in %d batches", len(many), n)
	}
	// What is there already is not sent again.
	before := server.Calls("BatchUpdateBlobs")
	stored(t, o, many[:10]...)
	if n := server.Calls("BatchUpdateBlobs"); n != before {
		t.Error("blobs were sent that the server has")
	}
}

func TestActionsDiffer(t *testing.T) {
	base := NewAction(computation(0))
	if again := NewAction(computation(0)); again.action.digest != base.action.digest || again.command.digest != base.command.digest {
		t.Error("the same computation is another action")
	}
	for name, change := range map[string]func(*objcache.Computation){
		"key":         func(c *objcache.Computation) { c.Key[0] ^= 1 },
		"argument":    func(c *objcache.Computation) { c.Arguments = append(c.Arguments, "-O3") },
		"file":        func(c *objcache.Computation) { c.Files["worker/b.jl"] = []byte("c") },
		"folder":      func(c *objcache.Computation) { c.Files["other/b.jl"] = nil },
		"platform":    func(c *objcache.Computation) { c.Platform["libLLVM"] = "3" },
		"environment": func(c *objcache.Computation) { c.Environment["X"] = "z" },
		"output":      func(c *objcache.Computation) { c.Output = "other.o" },
	} {
		c := computation(0)
		change(c)
		if NewAction(c).action.digest == base.action.digest {
			t.Errorf("another %s is the same action", name)
		}
	}
}

func TestMissingBlobIsMiss(t *testing.T) {
	server := &remotetest.Server{}
	o := Options{URL: "grpc://" + server.Start(t)}
	stored(t, o, 1000, 2000)
	server.Change(func(_ *result, blobs map[string][]byte) { delete(blobs, digestOf(object(0, 1000)).hash) })
	c := connect(t, o)
	if _, ok := c.Get(t.Context(), NewAction(computation(0))); ok {
		t.Error("data that is gone was found")
	}
	if _, ok := c.Get(t.Context(), NewAction(computation(1))); !ok || len(c.warned()) != 0 || c.Off() != nil {
		t.Errorf("the other is not found any more: %v, %q", c.Off(), c.warned())
	}
	// It is stored again.
	c.Put(NewAction(computation(0)), object(0, 1000))
	c.close()
	finds(t, connect(t, o), 1000, 2000)
}

func TestResultsOfNoUse(t *testing.T) {
	server := &remotetest.Server{}
	o := Options{URL: "grpc://" + server.Start(t)}
	for name, change := range map[string]func(*result){
		"failed":   func(r *result) { r.ExitCode = 1 },
		"another":  func(r *result) { r.OutputFiles[0].Path = "other.o" },
		"none":     func(r *result) { r.OutputFiles = nil },
		"short":    func(r *result) { r.OutputFiles[0].Digest.Hash = "00" },
		"negative": func(r *result) { r.OutputFiles[0].Digest.SizeBytes = -1 },
		"huge":     func(r *result) { r.OutputFiles[0].Digest.SizeBytes = 1 << 50 },
		"capital":  func(r *result) { r.OutputFiles[0].Digest.Hash = strings.ToUpper(r.OutputFiles[0].Digest.Hash) },
		"digest":   func(r *result) { r.OutputFiles[0].Digest = nil },
	} {
		stored(t, o, 1000)
		server.Change(func(r *result, _ map[string][]byte) { change(r) })
		c := connect(t, o)
		if _, ok := c.Get(t.Context(), NewAction(computation(0))); ok || len(c.warned()) != 0 {
			t.Errorf("%s: found is %v, with the warnings %q", name, ok, c.warned())
		}
		c.close()
	}
}

func TestManyAtOnce(t *testing.T) {
	for _, zstd := range []bool{false, true} {
		server := &remotetest.Server{Zstd: zstd}
		results := manyAtOnce(t, Options{URL: "grpc://" + server.Start(t)})
		if n := server.Results(); n != results {
			t.Errorf("%d results are there, and should be %d", n, results)
		}
	}
}

// manyAtOnce has 64 clients store and find at once, and lose nothing. It returns how many results there are then.
func manyAtOnce(t *testing.T, o Options) (results int) {
	t.Helper()
	const clients, each = 64, 12
	var all sync.WaitGroup
	for n := range clients {
		all.Go(func() {
			c := connect(t, o)
			for i := range each {
				number := n*each/2 + i // half of them are those of the next client too
				a := NewAction(computation(number))
				if data, ok := c.Get(t.Context(), a); ok && !bytes.Equal(data, object(number, 5000)) {
					t.Error("something else was found")
				} else if !ok {
					c.Put(a, object(number, 5000))
				}
			}
			c.close()
			if counts := c.Counts(); counts.Hits+counts.Stored != each || len(c.warned()) != 0 {
				t.Errorf("a client has %+v, with the warnings %q", counts, c.warned())
			}
		})
	}
	all.Wait()
	results = (clients + 1) * each / 2
	c := connect(t, o)
	for number := range results {
		if data, ok := c.Get(t.Context(), NewAction(computation(number))); !ok || !bytes.Equal(data, object(number, 5000)) {
			t.Errorf("object %d was lost", number)
		}
	}
	return results
}

func TestRights(t *testing.T) {
	for _, test := range []struct {
		upload   Upload
		readOnly bool
		refuses  bool // says no only when it is asked to store
		stored   int
		warnings int
	}{
		{UploadAuto, false, false, 1, 0},
		{UploadYes, false, false, 1, 0},
		{UploadNo, false, false, 0, 0},
		{UploadAuto, true, false, 0, 0},
		{UploadYes, true, false, 0, 1},
		{UploadAuto, false, true, 0, 0},
		{UploadYes, false, true, 0, 1},
	} {
		server := &remotetest.Server{ReadOnly: test.readOnly}
		if test.refuses {
			server.Fault = refuse("UpdateActionResult", permissionDenied)
		}
		c := connect(t, Options{URL: "grpc://" + server.Start(t), Upload: test.upload})
		c.Put(NewAction(computation(0)), object(0, 1000))
		c.close()
		if server.Results() != test.stored || c.Counts().Stored != test.stored || len(c.warned()) != test.warnings {
			t.Errorf("%+v: %d results, %+v, the warnings %q", test, server.Results(), c.Counts(), c.warned())
		}
	}
}

// keys writes a private key and its public one.
func keys(t *testing.T) (private, public string) {
	t.Helper()
	pub, priv, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	private, public = filepath.Join(dir, "key.pem"), filepath.Join(dir, "public.pem")
	secret, err := x509.MarshalPKCS8PrivateKey(priv)
	if err != nil {
		t.Fatal(err)
	}
	open, err := x509.MarshalPKIXPublicKey(pub)
	if err != nil {
		t.Fatal(err)
	}
	write(t, private, string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret})), 0o600)
	write(t, public, string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: open})), 0o644)
	return private, public
}

func write(t *testing.T, path, text string, mode os.FileMode) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
}

func TestSignatures(t *testing.T) {
	server := &remotetest.Server{}
	o := Options{URL: "grpc://" + server.Start(t)}
	private, public := keys(t)
	_, stranger := keys(t)
	both := filepath.Join(t.TempDir(), "both.pem")
	var texts []string
	for _, path := range []string{stranger, public} {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		texts = append(texts, string(text))
	}
	write(t, both, strings.Join(texts, "\n"), 0o644)
	found := func(trust string) bool {
		trusting := o
		trusting.TrustFile = trust
		c := connect(t, trusting)
		defer c.close()
		data, ok := c.Get(t.Context(), NewAction(computation(0)))
		if warned := c.warned(); len(warned) != 0 || ok && !bytes.Equal(data, object(0, 1000)) || ok == (c.Counts().Untrusted > 0) {
			t.Errorf("found %v, %+v, the warnings %q", ok, c.Counts(), warned)
		}
		return ok
	}
	stored(t, o, 1000)
	if found(public) {
		t.Error("a result without a signature was used")
	}
	signing := o
	signing.SignFile = private
	stored(t, signing, 1000, 2000)
	for trust, want := range map[string]bool{"": true, public: true, both: true, stranger: false} {
		if trust != "" && found(trust) != want {
			t.Errorf("with %s found is not %v", filepath.Base(trust), want)
		}
	}
	// The server puts other data there, with the signature of the right one; and the data of another action, with its signature.
	wrong := object(7, 1000)
	server.Change(func(r *result, blobs map[string][]byte) {
		blobs[digestOf(wrong).hash] = wrong
		r.OutputFiles[0].Digest = digestOf(wrong).message()
	})
	if found(public) {
		t.Error("data that was not signed was used")
	}
	var outputs [][]*outputFile
	server.Change(func(r *result, _ map[string][]byte) { outputs = append(outputs, r.OutputFiles) })
	server.Change(func(r *result, _ map[string][]byte) {
		r.OutputFiles, outputs = outputs[len(outputs)-1], outputs[:len(outputs)-1]
	})
	if found(public) {
		t.Error("data that was signed for another action was used")
	}
}

func TestSignedText(t *testing.T) {
	pub, priv, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	action, data, other := digestOf([]byte("a")), digestOf([]byte("d")), digestOf([]byte("o"))
	file := sign(priv, action, data)
	trusted := []ed25519.PublicKey{pub}
	if !isSigned(file, action, data, trusted) {
		t.Error("a right signature is refused")
	}
	for name, wrong := range map[string]bool{
		"action":   isSigned(file, other, data, trusted),
		"data":     isSigned(file, action, other, trusted),
		"swapped":  isSigned(file, data, action, trusted),
		"key":      isSigned(file, action, data, nil),
		"cut off":  isSigned(file[:len(file)-10], action, data, trusted),
		"nothing":  isSigned(nil, action, data, trusted),
		"kind":     isSigned(append([]byte("x"), file...), action, data, trusted),
		"too much": isSigned(append(file[:len(file):len(file)], "more"...), action, data, trusted),
	} {
		if wrong {
			t.Errorf("another %s is taken", name)
		}
	}
}

func TestTLS(t *testing.T) {
	certificates := remotetest.MakeCertificates(t)
	pair, err := tls.LoadX509KeyPair(certificates.ServerCert, certificates.ServerKey)
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(certificates.CA)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(text)
	server := &remotetest.Server{}
	url := "grpcs://" + server.Start(t, grpc.Creds(grpccredentials.NewTLS(&tls.Config{
		Certificates: []tls.Certificate{pair}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: pool,
	})))
	known := Credentials{CAFile: certificates.CA, CertFile: certificates.ClientCert, KeyFile: certificates.ClientKey}
	stored(t, Options{URL: url, Credentials: known}, 1000)
	for name, c := range map[string]Credentials{"no authority": {}, "no client": {CAFile: certificates.CA}} {
		unknown := connect(t, Options{URL: url, Credentials: c})
		if _, ok := unknown.Get(t.Context(), NewAction(computation(0))); ok || len(unknown.warned()) != 1 {
			t.Errorf("%s: found is %v, with the warnings %q", name, ok, unknown.warned())
		}
	}
}

func TestServer(t *testing.T) {
	server := &remotetest.Server{Zstd: true, BatchBytes: 1 << 20, Instance: "x"}
	private, public := keys(t)
	c := connect(t, Options{URL: "grpc://" + server.Start(t) + "/x", SignFile: private, TrustFile: public})
	s, err := c.Server(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if s.Protocol != "REAPI 2.0 to 2.3" || !s.Zstd || s.BatchBytes != 1<<20 || !s.Upload || !s.Signs || s.Trusted != 1 || s.Executes || s.Trip <= 0 || s.URL != c.URL() {
		t.Errorf("the server is %+v", s)
	}
	away := connect(t, Options{URL: "grpc://127.0.0.1:1"})
	if _, err := away.Server(t.Context()); err == nil || !strings.Contains(err.Error(), "cannot be reached") {
		t.Errorf("no server says %v", err)
	}
}

func TestNil(t *testing.T) {
	c, err := Open(Options{})
	if c != nil || err != nil {
		t.Fatal(c, err)
	}
	if _, ok := c.Get(t.Context(), NewAction(computation(0))); ok {
		t.Error("no cache has something")
	}
	c.Put(NewAction(computation(0)), nil)
	if c.URL() != "" || c.Counts() != (Counts{}) || c.Off() != nil {
		t.Error("no cache is something")
	}
	c.Close(t.Context())
}
