package node

// ReceiveFrom hands a frame to consensus as if a validator had sent it.
func (n *Node) ReceiveFrom(validator int, frame []byte) error {
	return n.engine.Receive(validator, frame)
}
