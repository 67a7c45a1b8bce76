package host

import (
	"sync"
	"time"
)

// bucket is a token bucket that lends: taking never fails, but whoever took more
// than there was is told how long to wait. It belongs to one goroutine.
type bucket struct {
	rate   float64 // tokens per second
	burst  float64
	tokens float64 // negative: owed
	last   time.Time
}

// newBucket returns a full bucket that holds one second's worth.
func newBucket(perSecond int, now time.Time) bucket {
	return bucket{rate: float64(perSecond), burst: float64(perSecond), tokens: float64(perSecond), last: now}
}

// take removes n tokens and returns how long to pause before going on.
func (b *bucket) take(n int, now time.Time) time.Duration {
	b.refill(now)
	b.tokens -= float64(n)
	if b.tokens >= 0 {
		return 0
	}
	return time.Duration(-b.tokens / b.rate * float64(time.Second))
}

// try removes n tokens if they are there.
func (b *bucket) try(n int, now time.Time) bool {
	b.refill(now)
	if b.tokens < float64(n) {
		return false
	}
	b.tokens -= float64(n)
	return true
}

func (b *bucket) refill(now time.Time) {
	if elapsed := now.Sub(b.last); elapsed > 0 {
		b.tokens = min(b.burst, b.tokens+elapsed.Seconds()*b.rate)
		b.last = now
	}
}

// penalty decides when a peer has misbehaved too often. The sentence doubles
// with each conviction up to a bound, and is forgiven step by step: a validator
// with a fault that was repaired must get back in by itself.
type penalty struct {
	limits Limits

	mu    sync.Mutex
	score float64   // guarded by mu: recent offences
	level int       // guarded by mu: convictions that are not forgiven
	last  time.Time // guarded by mu: of the last offence
	until time.Time // guarded by mu: refused before then
}

// offend records n offences and returns for how long the peer is to be refused
// if that was one too many, else 0.
func (p *penalty) offend(n int, now time.Time) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	if elapsed := now.Sub(p.last); !p.last.IsZero() && elapsed > 0 {
		p.score = max(0, p.score-elapsed.Seconds()/p.limits.InvalidDecay.Seconds())
		p.level = max(0, p.level-int(elapsed/(2*p.limits.CoolOffMax)))
	}
	p.last = now
	if now.Before(p.until) {
		return 0
	}
	p.score += float64(n)
	if p.score <= float64(p.limits.InvalidFrames-1) { // what little decays between two of a burst does not save it
		return 0
	}
	sentence := p.limits.CoolOff
	for range p.level {
		if sentence = 2 * sentence; sentence >= p.limits.CoolOffMax {
			break
		}
	}
	sentence = min(sentence, p.limits.CoolOffMax)
	p.level++
	p.score = 0
	p.until = now.Add(sentence)
	return sentence
}

// remaining returns how long the peer is still refused.
func (p *penalty) remaining(now time.Time) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return max(0, p.until.Sub(now))
}

// refusedUntil returns the end of a sentence that is being served, else zero.
func (p *penalty) refusedUntil(now time.Time) time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !now.Before(p.until) {
		return time.Time{}
	}
	return p.until
}

// logLimit lets one record through per interval and counts the rest, so that a
// stranger cannot fill the disk with warnings about himself.
type logLimit struct {
	interval time.Duration

	mu         sync.Mutex
	next       time.Time // guarded by mu
	suppressed int       // guarded by mu
}

// allow reports whether to log at now, and how many records were left out since
// the last one.
func (l *logLimit) allow(now time.Time) (bool, int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if now.Before(l.next) {
		l.suppressed++
		return false, 0
	}
	n := l.suppressed
	l.suppressed = 0
	l.next = now.Add(l.interval)
	return true, n
}
