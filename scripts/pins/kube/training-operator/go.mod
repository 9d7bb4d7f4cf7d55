module splitft.io/pins/training-operator

go 1.23

require github.com/kubeflow/training-operator v1.9.2
