package main

import (
	"context"
	"net/http"
	"os"
	"path/filepath"
	"time"

	core "k8s.io/api/core/v1"
	"k8s.io/apiserver/pkg/util/flushwriter"
	runtimeapi "k8s.io/cri-api/pkg/apis"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
	"k8s.io/cri-client/pkg/logs"
	"k8s.io/kubernetes/pkg/api/legacyscheme"
	_ "k8s.io/kubernetes/pkg/apis/core/install"
)

// files serves logs from one directory.
type files struct{ directory string }

func (f files) ServeHTTP(answer http.ResponseWriter, request *http.Request) {
	var options core.PodLogOptions
	if err := legacyscheme.ParameterCodec.DecodeParameters(request.URL.Query(), core.SchemeGroupVersion, &options); err != nil {
		http.Error(answer, err.Error(), http.StatusBadRequest)
		return
	}
	container := request.PathValue("container")
	name := request.PathValue("namespace") + "_" + request.PathValue("pod") + "_" + container
	if options.Previous {
		name += ".previous"
	}
	path := filepath.Join(f.directory, filepath.Base(name)+".log")
	if _, err := os.Stat(path); err != nil {
		if options.Previous {
			http.Error(answer, "previous terminated container \""+container+"\" not found", http.StatusBadRequest)
			return
		}
		path = filepath.Join(f.directory, "default.log")
	}
	out := flushwriter.Wrap(answer)
	err := logs.ReadLogs(request.Context(), nil, path, "", logs.NewLogOptions(&options, time.Now()), running{}, out, out)
	// Whoever follows a log ends that by leaving.
	if err != nil && request.Context().Err() == nil {
		http.Error(answer, err.Error(), http.StatusBadRequest)
	}
}

// running says of every container that it runs, so that its log may go on.
type running struct{ runtimeapi.RuntimeService }

func (running) ContainerStatus(context.Context, string, bool) (*cri.ContainerStatusResponse, error) {
	return &cri.ContainerStatusResponse{Status: &cri.ContainerStatus{State: cri.ContainerState_CONTAINER_RUNNING}}, nil
}
