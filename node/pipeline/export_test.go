package pipeline

// VotesHeld is how many execution votes are in memory, of others and own.
func (p *Pipeline) VotesHeld() (others, own int) {
	c := p.certifier
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, byHeight := range c.tally.votes {
		others += len(byHeight)
	}
	return others, len(c.own)
}
