package remotetest

// This file is the server with HTTP.

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	repb "github.com/bazelbuild/remote-apis/build/bazel/remote/execution/v2"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

// StartHTTP starts the server on a port of this machine, with HTTP, and returns its host and port. Instance is what is in front of /ac and /cas.
// Calls are counted as "GET ac" and so on, and Fault is asked by these names.
func (s *Server) StartHTTP(t testing.TB) (address string) {
	t.Helper()
	s.init()
	server := httptest.NewServer(http.HandlerFunc(s.serve))
	t.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "http://")
}

func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	path := strings.TrimPrefix(r.URL.Path, "/")
	if s.Instance != "" {
		path = strings.TrimPrefix(path, s.Instance+"/")
	}
	space, hash, _ := strings.Cut(path, "/")
	call := r.Method + " " + space
	s.mu.Lock()
	s.calls[call]++
	s.mu.Unlock()
	for header, value := range s.Headers {
		if r.Header.Get(header) != value {
			http.Error(w, "the header "+header+" is another", http.StatusUnauthorized)
			return
		}
	}
	if s.Fault != nil {
		if err := s.Fault(r.Context(), call); err != nil {
			http.Error(w, err.Error(), statusOf(err))
			return
		}
	}
	data, err := s.answer(call, hash, r)
	if err != nil {
		http.Error(w, err.Error(), statusOf(err))
		return
	}
	if s.Zstd && call == "GET cas" && strings.Contains(r.Header.Get("Accept-Encoding"), "zstd") {
		w.Header().Set("Content-Encoding", "zstd")
		data = pack(data)
	}
	w.Write(data)
}

func (s *Server) answer(call, hash string, r *http.Request) ([]byte, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	switch call {
	case "HEAD cas", "GET cas":
		return s.blob(hash)
	case "PUT cas":
		return nil, s.store(hash, int64(len(body)), body)
	case "GET ac":
		s.mu.Lock()
		defer s.mu.Unlock()
		result, ok := s.results[hash]
		if !ok {
			return nil, status.Error(codes.NotFound, "no such result")
		}
		return proto.Marshal(result)
	case "PUT ac":
		result := &repb.ActionResult{}
		if err := proto.Unmarshal(body, result); err != nil {
			return nil, err
		}
		return nil, s.setResult(hash, result)
	}
	return nil, fmt.Errorf("there is no %s", call)
}

func statusOf(err error) int {
	switch status.Code(err) {
	case codes.NotFound:
		return http.StatusNotFound
	case codes.Unauthenticated:
		return http.StatusUnauthorized
	case codes.PermissionDenied:
		return http.StatusForbidden
	case codes.ResourceExhausted:
		return http.StatusTooManyRequests
	case codes.Unavailable:
		return http.StatusServiceUnavailable
	case codes.DataLoss:
		return http.StatusInsufficientStorage
	}
	return http.StatusBadRequest
}
