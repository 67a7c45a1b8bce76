package rpc

import (
	"maps"
	"slices"

	"github.com/holiman/uint256"
)

// Methods are the names that clients call, sorted.
func (s *Server) Methods() []string {
	var names []string
	for _, m := range methods(s.apis) {
		names = append(names, m.name)
	}
	return names
}

// Summarised are the methods that rpc_discover has a text for.
func Summarised() []string { return slices.Sorted(maps.Keys(summaries)) }

// SummarisedForDevelopment are those of development chains and networks for tests.
func SummarisedForDevelopment() []string { return slices.Sorted(maps.Keys(developmentSummaries)) }

// ParseQuantity reads a number of a request.
func ParseQuantity(text []byte) (uint256.Int, error) {
	var q quantity
	err := q.UnmarshalJSON(text)
	return q.Int, err
}

// HoldLargeAnswers takes all places for large answers, as readers do who take their time.
func (s *Server) HoldLargeAnswers() (release func()) {
	for range cap(s.large.slots) {
		s.large.slots <- struct{}{}
	}
	return func() {
		for range cap(s.large.slots) {
			<-s.large.slots
		}
	}
}

// LogList is logs as answers have them.
type LogList = logList
