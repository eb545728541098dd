#!/usr/bin/env bash
# Builds what no registry ships as a binary: Kubernetes, etcd, CoreDNS, Istio and the Pulumi engine, from Go modules at the versions in go/*/go.mod.
# usage: binaries.sh FOLDER   (what is there and was built from the same go.mod stays)
set -euo pipefail
to=$(mkdir -p "$1" && cd "$1" && pwd)
cd "$(dirname "${BASH_SOURCE[0]}")/go"
export CGO_ENABLED=0 GOFLAGS=-mod=readonly

build() { # MODULE NAME PACKAGE [FLAG…]
  local module=$1 name=$2 package=$3 mark
  shift 3
  mark="$to/.$name-$(cat "$module/go.mod" "$module/go.sum" | sha256sum | cut -c1-16)"
  if [[ -e $to/$name && -e $mark ]]; then return; fi
  echo "building $name"
  (cd "$module" && go build -trimpath -ldflags "${LDFLAGS:--s -w}" "$@" -o "$to/$name" "$package")
  touch "$mark"
}

kubernetes=$(awk '$1 == "k8s.io/kubernetes" { print $2 }' kubernetes/go.mod)
IFS=. read -r major minor _ <<<"${kubernetes#v}"
version=k8s.io/component-base/version
LDFLAGS="-s -w -X $version.gitVersion=$kubernetes -X $version.gitMajor=$major -X $version.gitMinor=$minor"
for name in kube-apiserver kube-controller-manager kube-scheduler kube-proxy kubelet; do
  build kubernetes "$name" "k8s.io/kubernetes/cmd/$name"
done
unset LDFLAGS
build etcd etcd go.etcd.io/etcd/server/v3
build coredns coredns github.com/coredns/coredns
build istio istioctl istio.io/istio/istioctl/cmd/istioctl
build istio pilot-discovery istio.io/istio/pilot/cmd/pilot-discovery -tags=vtprotobuf,disable_pgv
build istio pilot-agent istio.io/istio/pilot/cmd/pilot-agent -tags=agent,disable_pgv,grpcnotrace,retrynotrace
build pulumi pulumi github.com/pulumi/pulumi/pkg/v3/cmd/pulumi
build pulumi-language-nodejs pulumi-language-nodejs github.com/pulumi/pulumi/sdk/v3/nodejs/cmd/pulumi-language-nodejs
