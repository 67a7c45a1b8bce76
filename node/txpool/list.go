package txpool

// list is a doubly linked list whose links live in its members, so that entering and leaving allocate
// nothing. The zero list is empty. T is a pointer.
type list[T any] struct {
	head, tail *link[T]
}

// link is a member's place in one list. The zero link is in none.
type link[T any] struct {
	prev, next *link[T]
	member     T
	linked     bool
}

func (l *list[T]) front() (member T) {
	if l.head != nil {
		member = l.head.member
	}
	return member
}

func (l *list[T]) pushBack(k *link[T], member T) {
	if k.linked {
		panic("txpool: a member enters its list twice")
	}
	*k = link[T]{prev: l.tail, member: member, linked: true}
	if l.tail != nil {
		l.tail.next = k
	} else {
		l.head = k
	}
	l.tail = k
}

func (l *list[T]) remove(k *link[T]) {
	if !k.linked {
		return
	}
	if k.prev != nil {
		k.prev.next = k.next
	} else {
		l.head = k.next
	}
	if k.next != nil {
		k.next.prev = k.prev
	} else {
		l.tail = k.prev
	}
	*k = link[T]{}
}

// set makes membership what it should be; a member that stays keeps its place.
func (l *list[T]) set(k *link[T], member T, in bool) {
	switch {
	case in && !k.linked:
		l.pushBack(k, member)
	case !in:
		l.remove(k)
	}
}
