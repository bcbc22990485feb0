package remote

// This file is where a server is.

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
)

// An Address is the URL of a server.
type Address struct {
	scheme string
	host   string // and port
	// path is the instance name, or with HTTP what is in front of /ac and /cas; without slashes at its ends.
	path string
}

// Schemes are those of URLs that ParseURL takes. The second of each pair has TLS.
var Schemes = []string{"grpc", "grpcs", "http", "https"}

// ParseURL reads the URL of a server. One that has a password in it is refused: command lines and files of projects are read by others.
func ParseURL(text string) (*Address, error) {
	refuse := func(format string, args ...any) error {
		return fmt.Errorf("the remote cache %w", fmt.Errorf(format, args...))
	}
	u, err := url.Parse(text)
	if err != nil {
		// The error of url.Parse has the text in it, and perhaps a password.
		return nil, refuse("has an address that is no URL: give one such as grpc://HOST:PORT")
	}
	if u.User != nil {
		return nil, refuse("%s://…@%s has a name or a password in its address: put them into a file for --remote-header-file", u.Scheme, u.Host)
	}
	a := &Address{scheme: u.Scheme, host: u.Host, path: strings.Trim(u.Path, "/")}
	switch {
	case u.Scheme != "grpc" && u.Scheme != "grpcs" && u.Scheme != "http" && u.Scheme != "https", u.Hostname() == "":
		return nil, refuse("%q is no address: give one such as grpc://HOST:PORT, or with grpcs, http or https", text)
	case u.RawQuery != "" || u.Fragment != "":
		return nil, refuse("%q has more than a host, a port and a path: leave out what begins with ? or #", text)
	case u.Port() == "" && !a.isHTTP():
		return nil, refuse("%q has no port: give one, as in %s://%s:9092", text, u.Scheme, u.Host)
	}
	if err := checkInstance(a.path); err != nil && !a.isHTTP() {
		return nil, refuse("%q: %w", text, err)
	}
	return a, nil
}

// checkInstance refuses instance names that the protocol has no place for: their parts stand in the names of blobs.
func checkInstance(name string) error {
	for part := range strings.SplitSeq(name, "/") {
		switch part {
		case "blobs", "uploads", "actions", "actionResults", "operations", "capabilities", "compressed-blobs":
			return fmt.Errorf("no part of an instance's name can be %q: choose another", part)
		case "":
			if name != "" {
				return errors.New("the instance's name has two slashes side by side: leave out one")
			}
		}
	}
	return nil
}

func (a *Address) String() string {
	text := a.scheme + "://" + a.host
	if a.path != "" {
		text += "/" + a.path
	}
	return text
}

func (a *Address) isHTTP() bool { return a.scheme == "http" || a.scheme == "https" }

func (a *Address) isEncrypted() bool { return a.scheme == "grpcs" || a.scheme == "https" }

// isHere says whether the server is on this machine, so that nobody can listen on the way to it.
func (a *Address) isHere() bool {
	host, _, err := net.SplitHostPort(a.host)
	if err != nil {
		host = a.host
	}
	ip := net.ParseIP(strings.Trim(host, "[]"))
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
