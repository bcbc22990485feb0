package parallel

// This file keeps a pool within a number of slots that it shares with other programs, such as the tokens of make's jobserver.
//
// A worker that is busy needs a slot. The pool may have some of its own; the others it takes one by one while tasks wait, and puts back as soon as
// there is one more than there are workers that are busy: others get a turn after each task.

import "context"

// Slots are shared with other programs.
type Slots interface {
	// Take waits for a slot. It is called by one goroutine at a time.
	Take(ctx context.Context) error
	// Give puts one back.
	Give() error
}

// SetOwn says how many workers may be busy without a slot; at first none. It means something for pools with Slots alone.
func (p *Pool) SetOwn(workers int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.own = workers
	p.changed.Broadcast()
}

// allowed is how many workers may be busy. The lock is held.
func (p *Pool) allowed() int {
	if p.options.Slots == nil {
		return p.limit
	}
	return min(p.limit, p.own+p.taken)
}

// takeSlots takes slots while tasks wait for them, until the pool is closed or ctx ends. Where no more can be had, the pool does without them.
func (p *Pool) takeSlots(ctx context.Context) {
	defer context.AfterFunc(ctx, func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.changed.Broadcast()
	})()
	for p.waitForWant(ctx) {
		err := p.options.Slots.Take(ctx)
		p.mu.Lock()
		if err != nil {
			p.own = p.limit
		} else {
			wanted := p.wantsSlot()
			p.taken++
			if !wanted {
				p.giveSlots()
			}
		}
		p.changed.Broadcast()
		p.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// waitForWant waits until a slot is wanted; false: none will be any more.
func (p *Pool) waitForWant(ctx context.Context) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for !p.wantsSlot() {
		if ctx.Err() != nil || p.closed && len(p.queue) == 0 {
			return false
		}
		p.changed.Wait()
	}
	return ctx.Err() == nil
}

// wantsSlot says whether a task waits for nothing but a slot. The lock is held.
func (p *Pool) wantsSlot() bool {
	return len(p.queue) > 0 && p.busy < p.limit && p.busy >= p.own+p.taken
}

// giveSlots puts back what no worker that is busy needs. The lock is held.
func (p *Pool) giveSlots() {
	for p.taken > 0 && p.own+p.taken > p.busy {
		p.taken--
		p.options.Slots.Give()
	}
}
