/* One reply on its way to one user: the waiting request and the API race for it.
 *
 * WeChat delivers the user's message up to three times; each request may be lost with the replica
 * that holds it. Egress handles the reply up to three times: after a crash, or beside an attempt
 * that merely sleeps. What they share is the claim (created once), the marker of the send
 * (compare-and-swap), and the offers, which are broadcast and remembered. See README.md.
 */
mtype = { NONE, REPLY, LATER, FREE, SENDING, ACCEPTED };

mtype claim = NONE;
mtype marker = FREE;
byte owner = 0;            /* of the marker: the attempt that sends */
bool offered = false;      /* remembered by ingress for WeChat's next delivery */
bool open = true;          /* the first request's window, as egress sees it */
byte passive = 0;          /* how often the user was shown the reply by a request ... */
byte api = 0;              /* ... and by the API */
byte doubts = 0;           /* what egress counted as ambiguous */
bool refused = false;      /* WeChat has told the user that nobody answers */
byte ended = 0;
bool over[4];              /* which attempts of egress have ended */

#define ATTEMPTS 3
#define SHOWN (passive + api)

inline read_by(way) {      /* nothing is shown twice that was not in doubt */
    atomic { way++; assert(SHOWN <= 1 + doubts) }
}

inline create(kind) {      /* a claim never changes once it is there */
    atomic { if :: claim == NONE -> claim = kind :: else -> skip fi }
}

proctype Wechat() {
    byte delivery = 0;
    do
    :: delivery == 3 -> refused = true; break
    :: delivery < 3 ->
        delivery++;
        if
        :: skip                          /* lost, with the replica that held it */
        :: claim != NONE -> goto told    /* another delivery, or egress, was first */
        :: offered -> create(REPLY); goto told
        :: create(LATER); goto told      /* its window ends */
        fi;
        goto next;
told:   if
        :: claim == LATER -> break       /* `success`: the reply comes by API */
        :: claim == REPLY -> read_by(passive); break
        :: skip                          /* claimed, but the answer is lost on its way */
        fi;
next:   skip
    od;
    ended++
}

proctype Clock() {
    open = false
}

/* With `lives` it is the last attempt, which is not killed. The broker delivers again when the
 * attempt before has ended, or after `ack_wait`, which is longer than the window.
 */
proctype Egress(byte me; bool first; bool lives) {
    mtype seen = NONE;
    (first || over[me - 1] || !open);
    if
    :: !first -> seen = claim
    :: first -> if :: seen = claim :: skip fi    /* what it has heard, if anything */
    fi;
    if
    :: seen == NONE && open ->
        offered = true;
        if :: !lives -> goto dead :: skip fi;
        if
        :: claim != NONE
        :: !open
        fi;
        create(LATER);
        seen = claim
    :: seen == NONE && !open && !first ->
#ifdef WITHDRAW
        create(LATER);                   /* an earlier attempt's offer may still be taken */
        seen = claim
#else
        skip
#endif
    :: seen != NONE || (!open && first)
    fi;
    if :: !lives -> goto dead :: skip fi;
    if
    :: seen == REPLY -> goto done
    :: else -> skip
    fi;
    /* By API: the owner's claim first. */
    if
    :: atomic { marker == FREE -> marker = SENDING; owner = me }
    :: atomic { marker == SENDING && owner != me -> doubts++; owner = me }  /* thought dead */
    :: atomic { marker == ACCEPTED -> goto done }
    fi;
    if :: !lives -> goto dead :: skip fi;
    read_by(api);
    if :: !lives -> goto dead :: skip fi;
    atomic { if :: marker == SENDING && owner == me -> marker = ACCEPTED :: else -> skip fi };
done:
dead:
    over[me] = true;
    ended++
}

init {
    atomic {
        run Wechat();
        run Clock();
        run Egress(1, true, false);
        run Egress(2, false, false);
        run Egress(3, false, true)
    }
    ended == ATTEMPTS + 1;
    assert(refused || SHOWN >= 1)        /* nothing acknowledged is lost */
}
