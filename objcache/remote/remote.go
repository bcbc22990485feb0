// Package remote shares what is compiled between machines, by the Remote Execution API (REAPI v2,
// github.com/bazelbuild/remote-apis): any server of that protocol will do.
//
// The key of an entry becomes an action. Its result, in the server's action cache, names the data by its digest, and the data
// is in the server's content-addressable storage (CAS). So whoever has the same key finds the data.
//
// A remote cache never makes its user fail, and is in nobody's way. A server that is slow, full, gone, wrong, or that refuses the
// credentials is given up: the caller is warned once and goes on without. Each wait has a bound (patience.go).
//
// Data is code. Each blob is checked by its digest, so what comes is what the result names. Whether the result itself is right, the
// server is trusted for, unless only signed results are taken (signature.go).
package remote

// This file is a remote cache as builds use it: opening it, what it is told, closing it.

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// Options of a remote cache. Only URL has to be set.
type Options struct {
	// URL is where the server is: grpc://HOST:PORT/INSTANCE or grpcs:// (with TLS), http://HOST:PORT/PATH or https://. The instance name, or
	// the path in front of /ac and /cas, may be left out.
	URL string
	Credentials
	// Upload says whether what was made here is stored there.
	Upload Upload
	// SignFile has the private key, ed25519 in PEM, that signs what is stored; empty: nothing is signed.
	SignFile string
	// TrustFile has the public keys, in PEM, of which one must have signed a result for it to be used; empty: all are used.
	TrustFile string
	// Execute says that Execute will be called. It needs a server with gRPC, which is trusted with what it returns: it does not go with TrustFile.
	Execute bool
	// Wait is how long Close waits for what is not stored yet; 0: a second, or a twentieth of the time since Open if that is more.
	Wait time.Duration
	// Warn is told, at most once, why the server is not used any more, or not for all. Nil: nobody is.
	Warn func(error)
}

// Upload says whether what was made is stored at the server.
type Upload string

const (
	// UploadAuto stores where the server lets us. It is the meaning of an empty Upload. Where only signed results are taken and no key
	// signs, nothing is stored: it would take the place of results that are of use.
	UploadAuto Upload = "auto"
	// UploadYes stores, and warns where the server does not let us.
	UploadYes Upload = "yes"
	// UploadNo only reads.
	UploadNo Upload = "no"
)

// A Cache is an open remote cache. Its methods may be called by any number of goroutines at once. A nil *Cache holds nothing and
// stores nothing.
type Cache struct {
	url       string
	options   Options
	transport transport
	patience  *patience
	opened    time.Time
	signer    ed25519.PrivateKey  // nil: nothing is signed
	trusted   []ed25519.PublicKey // nil: all results are taken

	ctx    context.Context // of all calls
	cancel context.CancelFunc
	behind sync.WaitGroup // goroutines

	ready   chan struct{} // closed when the server has said who it is, or was given up
	server  *Server       // set before ready is closed; nil: it said nothing
	calls   chan struct{} // a token for each look-up that is asked
	fetcher *fetcher
	uploads *uploader

	mu       sync.Mutex      // guards what follows
	off      error           // why the server is not asked any more
	present  map[string]bool // hashes of blobs that the server has
	warned   bool
	failures int // calls that failed since one succeeded

	counts counts
}

// counts are what Counts returns, while they change.
type counts struct {
	hits, hitBytes, untrusted atomic.Int64
	stored, storedBytes       atomic.Int64
}

// Counts say what a cache has done so far.
type Counts struct {
	// Hits were found, HitBytes are their sizes.
	Hits     int   `json:"hits"`
	HitBytes int64 `json:"hit_bytes"`
	// Untrusted results were there, but no key that is trusted has signed them.
	Untrusted int `json:"untrusted"`
	// Stored were stored, StoredBytes are their sizes. Unstored should have been and were not, up to now.
	Stored      int   `json:"stored"`
	StoredBytes int64 `json:"stored_bytes"`
	Unstored    int   `json:"unstored"`
}

// Open opens a remote cache and begins to ask the server who it is, without waiting for the answer. Close must be called. The error is about the
// options: an address that is none, a file that cannot be read or that others can read. An empty URL means no remote cache: the result is nil.
func Open(o Options) (*Cache, error) {
	if o.URL == "" {
		return nil, nil
	}
	c := &Cache{options: o, opened: time.Now(), ready: make(chan struct{}), patience: newPatience(), present: map[string]bool{}}
	var err error
	if c.signer, err = readSigner(o.SignFile); err != nil {
		return nil, err
	}
	if c.trusted, err = readTrusted(o.TrustFile); err != nil {
		return nil, err
	}
	if c.trusted != nil && c.signer == nil {
		switch o.Upload {
		case UploadYes:
			return nil, errors.New("what is stored at the remote cache must be signed where only signed results are trusted: give a key with --remote-sign, or leave out --remote-upload=yes")
		case UploadAuto, "":
			c.options.Upload = UploadNo
		}
	}
	address, err := ParseURL(o.URL)
	if err != nil {
		return nil, err
	}
	if o.Execute && address.isHTTP() {
		return nil, fmt.Errorf("%s cannot execute, as that needs gRPC: give an address with grpc:// or grpcs://, or leave out --remote-exec", address)
	}
	if o.Execute && c.trusted != nil {
		return nil, errors.New("what a server has executed is signed by nobody, so it does not go with results that must be signed: leave out --remote-exec or --remote-trust")
	}
	c.url = address.String()
	secrets, err := o.Credentials.read(address)
	if err != nil {
		return nil, err
	}
	if address.isHTTP() {
		c.transport = newHTTPTransport(address, secrets, c.patience)
	} else if c.transport, err = newGRPCTransport(address, secrets, c.patience); err != nil {
		return nil, err
	}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	c.calls = make(chan struct{}, c.transport.limits().calls)
	c.fetcher = newFetcher(c)
	c.uploads = newUploader(c)
	c.behind.Go(c.greet)
	c.behind.Go(c.uploads.run)
	return c, nil
}

// greet asks the server who it is.
func (c *Cache) greet() {
	defer close(c.ready)
	err := c.call(c.ctx, patient, 0, func(ctx context.Context) (err error) {
		c.server, err = c.transport.hello(ctx)
		return err
	})
	switch {
	case err != nil:
		c.giveUp(err)
	case !c.server.SHA256:
		c.giveUp(errors.New("it does not know digests by SHA-256"))
	}
}

// isReady waits until the server has said who it is, and says whether it can be asked.
func (c *Cache) isReady(ctx context.Context) bool {
	select {
	case <-c.ready:
	case <-ctx.Done():
		return false
	}
	return c.Off() == nil
}

// Off is why the server is not asked any more; nil: it is.
func (c *Cache) Off() error {
	if c == nil {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.off
}

// giveUp has the server not be asked any more. Whoever waits for it goes on.
func (c *Cache) giveUp(reason error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.off != nil || c.ctx.Err() != nil {
		return
	}
	c.off = reason
	c.cancel()
	c.warnLocked(fmt.Errorf("the remote cache %s is not used any more, as %w: see to the server or to what it is given, or leave out --remote-cache", c.url, reason))
}

// warn tells of something once. Of what comes later nothing is said: it mostly has the same reason.
func (c *Cache) warn(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.warnLocked(err)
}

func (c *Cache) warnLocked(err error) {
	if !c.warned && c.options.Warn != nil {
		c.options.Warn(err)
	}
	c.warned = true
}

// worked and failed count calls that ended. After some failures in a row the server is given up, after one that will not pass at once.
func (c *Cache) worked() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.failures = 0
}

func (c *Cache) failed(err error) {
	const most = 3
	c.mu.Lock()
	c.failures++
	over := c.failures >= most || !passes(err)
	c.mu.Unlock()
	if over {
		c.giveUp(err)
	}
}

// Counts returns what was done so far.
func (c *Cache) Counts() Counts {
	if c == nil {
		return Counts{}
	}
	return Counts{
		Hits: int(c.counts.hits.Load()), HitBytes: c.counts.hitBytes.Load(), Untrusted: int(c.counts.untrusted.Load()),
		Stored: int(c.counts.stored.Load()), StoredBytes: c.counts.storedBytes.Load(), Unstored: c.uploads.waiting(),
	}
}

// URL is where the server is, as errors call it; empty for none.
func (c *Cache) URL() string {
	if c == nil {
		return ""
	}
	return c.url
}

// Close waits for what is not stored yet, for as long as Options.Wait says or until ctx ends, and closes the cache. What is not stored by then is not
// stored: there is a warning. No other method may run then or later, but Counts, Off and URL.
func (c *Cache) Close(ctx context.Context) {
	if c == nil {
		return
	}
	wait := c.options.Wait
	if wait == 0 {
		wait = max(time.Second, time.Since(c.opened)/20)
	}
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	c.uploads.close(ctx)
	c.mu.Lock() // so that nothing warns of what ends now
	c.warned = true
	c.mu.Unlock()
	c.cancel()
	c.behind.Wait()
	c.transport.close()
}
