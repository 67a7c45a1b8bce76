package pipeline

// VotesHeld is how many execution votes are in memory, of others and own.
func (p *Pipeline) VotesHeld() (others, own int) {
	c := p.certifier
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.tally.Held(), len(c.own)
}
