package remote

// This file speaks the protocol that Bazel and its servers call HTTP caching: the same messages and blobs, one at a time.
//
//	GET, PUT  PATH/ac/HASH      the ActionResult of an action
//	GET, PUT  PATH/cas/HASH     a blob
//
// There is no way to ask what the server can do, nor for what it lacks. A blob may come with zstd, if the server says so in its answer.

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"syscall"

	repb "github.com/bazelbuild/remote-apis/build/bazel/remote/execution/v2"
	"google.golang.org/protobuf/proto"
)

type httpTransport struct {
	base    string
	client  *http.Client
	headers []header
}

// httpCalls is how many calls are made at a time, each on a connection of its own.
const httpCalls = 16

func newHTTPTransport(a *Address, s *secrets, p *patience) *httpTransport {
	dialer := &net.Dialer{Timeout: connecting}
	t := &http.Transport{
		Proxy: http.ProxyFromEnvironment,
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			conn, err := dialer.DialContext(ctx, network, address)
			if err != nil {
				return nil, err
			}
			return listening{conn, p}, nil
		},
		TLSClientConfig: s.tls, ForceAttemptHTTP2: true,
		MaxConnsPerHost: httpCalls, MaxIdleConnsPerHost: httpCalls,
		DisableCompression: true, // the digest is that of what is sent, if the server does not say otherwise
	}
	address := url.URL{Scheme: a.scheme, Host: a.host, Path: a.path}
	return &httpTransport{
		base: address.String(), headers: s.headers,
		client: &http.Client{
			Transport: t,
			// Another server would get the headers too.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
}

func (t *httpTransport) limits() limits {
	return limits{batchBytes: maxBlob, batchCount: 1, calls: httpCalls}
}

func (t *httpTransport) close() { t.client.CloseIdleConnections() }

// emptyHash is that of no bytes.
const emptyHash = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

// hello asks for the empty blob: whether it is there or not, the server lets us ask.
func (t *httpTransport) hello(ctx context.Context) (*Server, error) {
	answer, err := t.do(ctx, http.MethodHead, "cas", emptyHash, nil)
	if err != nil && !errors.Is(err, errMissing) {
		return nil, err
	}
	if err == nil {
		answer.Body.Close()
	}
	return &Server{Protocol: "HTTP", SHA256: true}, nil
}

func (t *httpTransport) actionResult(ctx context.Context, action digest) (*repb.ActionResult, error) {
	answer, err := t.do(ctx, http.MethodGet, "ac", action.hash, nil)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	data, err := io.ReadAll(io.LimitReader(answer.Body, maxMessage))
	if err != nil {
		return nil, &serverError{errGone, httpCause(err)}
	}
	result := &repb.ActionResult{}
	if err := proto.Unmarshal(data, result); err != nil {
		return nil, &serverError{errWrong, "a result that is none"}
	}
	return result, nil
}

func (t *httpTransport) setActionResult(ctx context.Context, action digest, result *repb.ActionResult) error {
	return t.put(ctx, "ac", action.hash, messageBlob(result).data)
}

func (t *httpTransport) read(ctx context.Context, digests []digest) ([][]byte, error) {
	blobs := make([][]byte, len(digests))
	for i, d := range digests {
		data, err := t.readOne(ctx, d)
		if err != nil && !errors.Is(err, errMissing) {
			return nil, err
		}
		blobs[i] = data
	}
	return blobs, nil
}

func (t *httpTransport) readOne(ctx context.Context, d digest) ([]byte, error) {
	answer, err := t.do(ctx, http.MethodGet, "cas", d.hash, nil)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	body := &bodyReader{body: answer.Body}
	read := readSize
	switch encoding := answer.Header.Get("Content-Encoding"); encoding {
	case "", "identity":
	case "zstd":
		read = readCompressed
	default:
		return nil, &serverError{errWrong, fmt.Sprintf("%.20q was not asked for", encoding)}
	}
	data, err := read(body, d.size)
	if err != nil && body.err != nil {
		return nil, &serverError{errGone, httpCause(body.err)}
	}
	return data, err
}

// A bodyReader remembers why no more came of a body than did.
type bodyReader struct {
	body io.Reader
	err  error // nil: it came to its end
}

func (r *bodyReader) Read(b []byte) (int, error) {
	n, err := r.body.Read(b)
	if err != nil && err != io.EOF {
		r.err = err
	}
	return n, err
}

// missing has all blobs be written: there is no way to ask.
func (t *httpTransport) missing(_ context.Context, blobs []blob) ([]blob, error) { return blobs, nil }

func (t *httpTransport) write(ctx context.Context, blobs []blob) error {
	for _, b := range blobs {
		if err := t.put(ctx, "cas", b.digest.hash, b.data); err != nil {
			return err
		}
	}
	return nil
}

func (t *httpTransport) put(ctx context.Context, space, hash string, data []byte) error {
	answer, err := t.do(ctx, http.MethodPut, space, hash, data)
	if err != nil {
		return err
	}
	answer.Body.Close()
	return nil
}

// do makes a request. The error says what an answer means that is no success; else the body must be closed.
func (t *httpTransport) do(ctx context.Context, method, space, hash string, body []byte) (*http.Response, error) {
	request, err := http.NewRequestWithContext(ctx, method, t.base+"/"+space+"/"+hash, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	for _, h := range t.headers {
		request.Header.Add(h.name, h.value)
	}
	if method == http.MethodGet && space == "cas" {
		request.Header.Set("Accept-Encoding", "zstd, identity")
	}
	answer, err := t.client.Do(request)
	if err != nil {
		return nil, &serverError{errGone, httpCause(err)}
	}
	if answer.StatusCode >= 200 && answer.StatusCode < 300 {
		return answer, nil
	}
	text, _ := io.ReadAll(io.LimitReader(answer.Body, 1<<10)) // it only says more
	answer.Body.Close()
	says := firstLine(fmt.Sprintf("%d %s", answer.StatusCode, bytes.TrimSpace(text)))
	switch answer.StatusCode {
	case http.StatusNotFound, http.StatusGone:
		return nil, errMissing
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusProxyAuthRequired, http.StatusMethodNotAllowed:
		return nil, &serverError{errRefused, says}
	case http.StatusInsufficientStorage, http.StatusRequestEntityTooLarge:
		return nil, &serverError{errFull, says}
	case http.StatusTooManyRequests, http.StatusServiceUnavailable, http.StatusBadGateway, http.StatusGatewayTimeout:
		return nil, &serverError{errBusy, says}
	}
	return nil, fmt.Errorf("it answers %s", says)
}

// httpCause is why a request failed, without its URL.
func httpCause(err error) string {
	var of *url.Error
	if errors.As(err, &of) {
		err = of.Err
	}
	var system syscall.Errno
	if errors.As(err, &system) {
		return system.Error()
	}
	return firstLine(err.Error())
}
