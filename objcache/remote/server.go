package remote

// This file asks a server what it is.

import (
	"context"
	"time"
)

// A Server is what a server says about itself, and how far it is away.
type Server struct {
	URL string `json:"url"`
	// Protocol is the protocol and its versions.
	Protocol string `json:"protocol"`
	// SHA256 says that it names blobs by their SHA-256.
	SHA256 bool `json:"sha256"`
	// ReadOnly says that it takes no results from whoever asked. One with HTTP does not say.
	ReadOnly bool `json:"read_only"`
	// BatchBytes is the largest batch of blobs that it takes, in bytes; 0: it does not say.
	BatchBytes int64 `json:"batch_bytes,omitempty"`
	// Zstd says that blobs can travel compressed. One with HTTP does not say.
	Zstd bool `json:"zstd"`
	// Executes says that it also runs actions.
	Executes bool `json:"executes"`
	// Trip is how long one question and its answer took, on a connection that was there; in JSON in nanoseconds.
	Trip time.Duration `json:"trip_ns"`
	// Upload says whether results are stored there, given the options and what the server says.
	Upload bool `json:"upload"`
	// Signs says that what is stored is signed. Trusted is how many keys are trusted; 0: results need no signature.
	Signs   bool `json:"signs"`
	Trusted int  `json:"trusted_keys"`
}

// Server asks the server who it is. The error says why it does not answer, and that may be the credentials.
func (c *Cache) Server(ctx context.Context) (*Server, error) {
	c.isReady(ctx)
	if err := c.Off(); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, context.Cause(ctx)
	}
	asked := time.Now()
	if err := c.call(ctx, patient, 0, func(ctx context.Context) error {
		_, err := c.transport.hello(ctx)
		return err
	}); err != nil {
		return nil, err
	}
	s := *c.server
	s.URL, s.Trip = c.url, time.Since(asked)
	s.Upload, s.Signs, s.Trusted = c.stores(), c.signer != nil, len(c.trusted)
	return &s, nil
}
