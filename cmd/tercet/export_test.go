package main

import "io"

// ReadNetwork reads the network.json of a directory and returns its nodes' names and homes; Save writes it again.
func ReadNetwork(dir string) (nodes [][2]string, save func() error, err error) {
	n, err := readNetwork(dir)
	if err != nil {
		return nil, nil, err
	}
	for _, node := range n.Nodes {
		nodes = append(nodes, [2]string{node.Name, node.Home})
	}
	return nodes, n.save, nil
}

// PrintFields prints what a node answered.
func PrintFields(w io.Writer, raw []byte) error { return printFields(w, raw) }

// ParseNumber reads an integer of a node's answer.
func ParseNumber(raw []byte) (uint64, error) {
	var n number
	err := n.UnmarshalJSON(raw)
	return uint64(n), err
}
