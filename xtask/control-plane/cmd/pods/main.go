// Command pods answers what an API server asks a kubelet about the containers of its pods: exec runs a command on this
// machine, logs reads a file. It serves whoever shows the API server's own certificate and nobody else.
package main

import (
	"bytes"
	"crypto/tls"
	"encoding/pem"
	"errors"
	"flag"
	"log"
	"net/http"
	"os"
)

func main() {
	address := flag.String("address", "", "where to listen, host:port")
	certificate := flag.String("certificate", "", "file: what is shown to callers, and what callers must show")
	key := flag.String("key", "", "file: the certificate's key")
	logs := flag.String("logs", "", "directory of log files in the CRI format: NAMESPACE_POD_CONTAINER.log, else default.log")
	work := flag.String("work", "", "directory in which commands run")
	flag.Parse()
	log.Fatal(serve(*address, *certificate, *key, *logs, *work))
}

func serve(address, certificate, key, logs, work string) error {
	routes := http.NewServeMux()
	routes.Handle("/exec/{namespace}/{pod}/{container}", commands{work})
	routes.Handle("GET /containerLogs/{namespace}/{pod}/{container}", files{logs})
	only, err := callers(certificate)
	if err != nil {
		return err
	}
	// Streams are upgraded connections, which HTTP/2 has none of.
	server := http.Server{Addr: address, Handler: routes, TLSConfig: only, TLSNextProto: map[string]func(*http.Server, *tls.Conn, http.Handler){}}
	return server.ListenAndServeTLS(certificate, key)
}

// callers lets in only who proves to hold the key of the certificate in file.
func callers(file string) (*tls.Config, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	own, _ := pem.Decode(text)
	if own == nil {
		return nil, errors.New(file + " holds no certificate")
	}
	return &tls.Config{
		ClientAuth: tls.RequireAnyClientCert,
		VerifyConnection: func(state tls.ConnectionState) error {
			if !bytes.Equal(state.PeerCertificates[0].Raw, own.Bytes) {
				return errors.New("this certificate opens nothing here")
			}
			return nil
		},
	}, nil
}
