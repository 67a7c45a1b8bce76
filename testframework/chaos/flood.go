package chaos

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// Flood asks one node as fast as it answers.
type Flood struct {
	URL         string
	Connections int // Connections is how many questions are under way at a time, each on a connection of its own.
	// Questions are the bodies of the requests, which are asked one after the other.
	Questions [][]byte
	Once      bool // Once ends the flood after the last question; otherwise it begins again.
}

// Answered is what came of a flood.
type Answered struct {
	Answers int64         // Answers without an error.
	Refused int64         // Refused are those with an error of JSON-RPC or of HTTP.
	Failed  int64         // Failed are questions that were not answered at all.
	Bytes   int64         // Bytes of all answers.
	Took    time.Duration // Took is the time from the first question to the last answer.
	Refusal string        // Refusal is the first one.
}

// PerSecond is the rate of answers.
func (a Answered) PerSecond() float64 { return float64(a.Answers) / a.Took.Seconds() }

// maxFloodAnswer bounds what is kept of an answer; the rest is read and thrown away.
const maxFloodAnswer = 16 << 10

// Run floods until ctx ends or there are no more questions.
func (f *Flood) Run(ctx context.Context) Answered {
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: f.Connections, MaxConnsPerHost: f.Connections}, Timeout: callTimeout}
	defer client.CloseIdleConnections()
	var a struct {
		answers, refused, failed, bytes atomic.Int64
		refusal                         atomic.Pointer[string]
	}
	var next atomic.Int64
	var wg sync.WaitGroup
	began := time.Now()
	for range f.Connections {
		wg.Go(func() {
			for ctx.Err() == nil {
				i := int(next.Add(1) - 1)
				if f.Once && i >= len(f.Questions) {
					return
				}
				body := f.Questions[i%len(f.Questions)]
				refusal, n, err := f.ask(ctx, client, body)
				switch {
				case ctx.Err() != nil:
					return
				case err != nil:
					a.failed.Add(1)
				case refusal != "":
					a.refused.Add(1)
					a.refusal.CompareAndSwap(nil, &refusal)
				default:
					a.answers.Add(1)
				}
				a.bytes.Add(n)
			}
		})
	}
	wg.Wait()
	out := Answered{a.answers.Load(), a.refused.Load(), a.failed.Load(), a.bytes.Load(), time.Since(began), ""}
	if r := a.refusal.Load(); r != nil {
		out.Refusal = *r
	}
	return out
}

// ask sends one question and says why it was refused, if it was.
func (f *Flood) ask(ctx context.Context, client *http.Client, body []byte) (refusal string, n int64, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, f.URL, bytes.NewReader(body))
	if err != nil {
		return "", 0, err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := client.Do(req)
	if err != nil {
		return "", 0, err
	}
	defer func() { _ = resp.Body.Close() }() // it was only read
	head, err := io.ReadAll(io.LimitReader(resp.Body, maxFloodAnswer))
	rest, err2 := io.Copy(io.Discard, resp.Body)
	n = int64(len(head)) + rest
	switch {
	case errors.Join(err, err2) != nil:
		return "", n, errors.Join(err, err2)
	case resp.StatusCode != http.StatusOK:
		return fmt.Sprintf("HTTP %d: %.200s", resp.StatusCode, head), n, nil
	case bytes.Contains(head, []byte(`"error":`)):
		return fmt.Sprintf("%.300s", head), n, nil
	}
	return "", n, nil
}
