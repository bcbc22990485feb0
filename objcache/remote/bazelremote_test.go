package remote

// Tests with bazel-remote, a real server, as a process of its own: see tools/bazel-remote. Where it was not built they are skipped.

import (
	"encoding/base64"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"chainbuild/objcache/remote/remotetest"
)

// bazelRemote is the built server, in the folder that git ignores.
const bazelRemote = "../../.toolchain/bazel-remote"

// startBazelRemote starts it with more arguments and returns the hosts and ports of its two protocols. It ends with the test.
func startBazelRemote(t *testing.T, arguments ...string) (grpc, http string) {
	t.Helper()
	if testing.Short() {
		t.Skip("a process of its own")
	}
	program, err := filepath.Abs(bazelRemote)
	if err == nil {
		_, err = os.Stat(program)
	}
	if err != nil {
		t.Skip("SKIPPED: bazel-remote is not there: `make bazel-remote` builds it")
	}
	for attempt := 1; ; attempt++ {
		grpc, http = freePort(t), freePort(t)
		cmd := exec.Command(program, append([]string{"--dir", t.TempDir(), "--max_size", "1", "--grpc_address", grpc, "--http_address", http}, arguments...)...)
		log, err := os.Create(filepath.Join(t.TempDir(), "log"))
		if err != nil {
			t.Fatal(err)
		}
		defer log.Close()
		cmd.Stdout, cmd.Stderr = log, log
		cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		ended := make(chan error, 1)
		go func() { ended <- cmd.Wait() }()
		if answers(grpc, ended) && answers(http, ended) {
			t.Cleanup(func() {
				cmd.Process.Kill()
				<-ended
			})
			return grpc, http
		}
		cmd.Process.Kill()
		// Somebody may have taken a port meanwhile.
		if text, _ := os.ReadFile(log.Name()); attempt == 3 {
			t.Fatalf("bazel-remote does not start:\n%s", text)
		}
	}
}

// answers waits until somebody listens at the address.
func answers(address string, ended chan error) bool {
	for range 1000 {
		if conn, err := net.Dial("tcp", address); err == nil {
			conn.Close()
			return true
		}
		select {
		case err := <-ended:
			ended <- err
			return false
		case <-time.After(20 * time.Millisecond):
		}
	}
	return false
}

func freePort(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}

func TestBazelRemote(t *testing.T) {
	grpc, http := startBazelRemote(t)
	private, public := keys(t)
	for name, o := range map[string]Options{
		"gRPC":     {URL: "grpc://" + grpc},
		"instance": {URL: "grpc://" + grpc + "/team/one"},
		"HTTP":     {URL: "http://" + http},
		"path":     {URL: "http://" + http + "/team"},
		"signed":   {URL: "grpc://" + grpc, SignFile: private, TrustFile: public},
	} {
		t.Run(name, func(t *testing.T) {
			leaks := goroutines()
			stored(t, o, sizes...)
			c := connect(t, o)
			finds(t, c, sizes...)
			if _, ok := c.Get(t.Context(), NewAction(computation(1000))); ok {
				t.Error("what nobody has stored was found")
			}
			c.close()
			leaks(t)
		})
	}
	c := connect(t, Options{URL: "grpc://" + grpc})
	s, err := c.Server(t.Context())
	if err != nil || !s.Zstd || !s.Upload || !strings.HasPrefix(s.Protocol, "REAPI 2.") {
		t.Errorf("bazel-remote is %+v (%v)", s, err)
	}
}

// What one protocol has stored, the other finds.
func TestBazelRemoteBothProtocols(t *testing.T) {
	grpc, http := startBazelRemote(t)
	stored(t, Options{URL: "grpc://" + grpc}, sizes...)
	finds(t, connect(t, Options{URL: "http://" + http}), sizes...)
}

func TestBazelRemoteManyAtOnce(t *testing.T) {
	grpc, _ := startBazelRemote(t)
	manyAtOnce(t, Options{URL: "grpc://" + grpc})
}

func TestBazelRemoteTLS(t *testing.T) {
	c := remotetest.MakeCertificates(t)
	grpc, http := startBazelRemote(t, "--tls_cert_file", c.ServerCert, "--tls_key_file", c.ServerKey, "--tls_ca_file", c.CA)
	for _, url := range []string{"grpcs://" + grpc, "https://" + http} {
		known := Options{URL: url, Credentials: Credentials{CAFile: c.CA, CertFile: c.ClientCert, KeyFile: c.ClientKey}}
		stored(t, known, sizes...)
		finds(t, connect(t, known), sizes...)
		unknown := connect(t, Options{URL: url, Credentials: Credentials{CAFile: c.CA}})
		if took, found := asks(t, unknown, 10); found || len(unknown.warned()) != 1 || took > 2*time.Second+slack {
			t.Errorf("without a certificate of the client: found %v in %v, with the warnings %q", found, took, unknown.warned())
		}
	}
}

// The server knows the user "team" by the password "secret", and lets all others read if it is told so.
func TestBazelRemotePassword(t *testing.T) {
	passwords := filepath.Join(t.TempDir(), "htpasswd")
	write(t, passwords, "team:{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=\n", 0o600)
	headers := filepath.Join(t.TempDir(), "headers")
	write(t, headers, "Authorization: Basic "+base64.StdEncoding.EncodeToString([]byte("team:secret"))+"\n", 0o600)
	known := Credentials{HeaderFile: headers}

	grpc, http := startBazelRemote(t, "--htpasswd_file", passwords)
	for _, url := range []string{"grpc://" + grpc, "http://" + http} {
		stored(t, Options{URL: url, Credentials: known}, 1000, 5<<20)
		finds(t, connect(t, Options{URL: url, Credentials: known}), 1000, 5<<20)
		unknown := connect(t, Options{URL: url})
		if _, found := asks(t, unknown, 10); found || len(unknown.warned()) != 1 || !strings.Contains(unknown.warned()[0], "refuses the credentials") {
			t.Errorf("%s without a password: found %v, with the warnings %q", url, found, unknown.warned())
		}
	}

	grpc, http = startBazelRemote(t, "--htpasswd_file", passwords, "--allow_unauthenticated_reads")
	stored(t, Options{URL: "grpc://" + grpc, Credentials: known}, 1000)
	for _, url := range []string{"grpc://" + grpc, "http://" + http} {
		for _, upload := range []Upload{UploadAuto, UploadYes} {
			reader := connect(t, Options{URL: url, Upload: upload})
			finds(t, reader, 1000)
			reader.Put(NewAction(computation(50)), object(50, 1000))
			reader.close()
			if n := len(reader.warned()); (n == 1) != (upload == UploadYes) || reader.Counts().Stored != 0 {
				t.Errorf("%s, %s: %+v, with the warnings %q", url, upload, reader.Counts(), reader.warned())
			}
		}
	}
}

// The server takes no blob above a size: that costs a warning, and no look-up.
func TestBazelRemoteFull(t *testing.T) {
	grpc, http := startBazelRemote(t, "--max_blob_size", "100000")
	for _, url := range []string{"grpc://" + grpc, "http://" + http} {
		stored(t, Options{URL: url}, 1000)
		c := connect(t, Options{URL: url})
		c.Put(NewAction(computation(5)), object(5, 6<<20))
		<-c.uploads.done
		findsFirst(t, c)
		if warned := c.warned(); len(warned) != 1 || !strings.Contains(warned[0], "nothing more is stored") {
			t.Errorf("%s: the warnings are %q", url, warned)
		}
	}
}

// The server goes away in the middle.
func TestBazelRemoteThroughProxy(t *testing.T) {
	grpc, _ := startBazelRemote(t)
	many := make([]int, 200)
	for i := range many {
		many[i] = 50_000
	}
	stored(t, Options{URL: "grpc://" + grpc}, many...)
	proxy, address := remotetest.StartProxy(t, grpc)
	proxy.Latency.Store(int64(10 * time.Millisecond))
	began := time.Now()
	finds(t, connect(t, Options{URL: "grpc://" + address}), many...)
	t.Logf("%d look-ups with a trip of 20 ms took %v", len(many), time.Since(began).Round(time.Millisecond))
	c := connect(t, Options{URL: "grpc://" + address})
	findsFirst(t, c)
	proxy.Hangs.Store(true)
	if took, _ := asks(t, c, 200); took > 2*time.Second+slack || len(c.warned()) != 1 {
		t.Errorf("a server that hangs costs %v, with the warnings %q", took, c.warned())
	}
}
