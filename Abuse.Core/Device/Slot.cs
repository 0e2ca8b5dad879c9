using System.Diagnostics;

namespace Abuse.Core;

/// <summary>
/// One place in the queue: the state of the bio that is in it now, in one word.
/// </summary>
/// <remarks>
/// <para>
/// The word is <c>sequence:48 | outcome:4 | pins:12</c>. The sequence names the bio (it never repeats in a device's life:
/// 2^48 last for nine years at a million bios a second), the outcome is
/// 0 (<see cref="BioResult.Pending"/>) until the bio is settled, and a pin is the right to touch the submitter's memory. Every step is one
/// compare-and-swap that fails unless the bio is <em>live</em>: the sequence matches and the outcome is 0. So a bio is settled once (B1),
/// and an id of a bio that is long gone is harmless in any call.
/// </para>
/// <para>
/// To settle takes a pin with it. Whoever drops the last pin of a settled bio finishes it, and only then does the submitter get its
/// memory back (B2); a pin therefore lasts one copy of ours, never a call of a server's.
/// </para>
/// <para>
/// <see cref="Submission"/> and <see cref="Deliveries"/> belong to the queue's lock, and the submission may also be read by whoever holds
/// a pin: it changes only when no pin is left. The word and the loan are touched with Interlocked from anywhere.
/// </para>
/// </remarks>
internal sealed class Slot(int index)
{
    private const int SequenceShift = 16;
    private const int OutcomeShift = 12;
    private const ulong PinMask = 0xFFF;
    private const ulong OutcomeMask = 0xFUL << OutcomeShift;

    /// <summary>Bits of an id that name the slot.</summary>
    internal const int IndexBits = 9;

    private const ulong LoanNone = 0;
    private const ulong LoanLent = 1;
    private const ulong LoanSwapped = 2;

    /// <summary>sequence:48 | outcome:4 | pins:12. Starts settled, so that nothing is live.</summary>
    private ulong _word = (ulong)BioResult.Canceled << OutcomeShift;

    /// <summary>sequence &lt;&lt; 2 | what became of the transport's buffer (B6).</summary>
    private ulong _loan;

    internal int Index { get; } = index;

    /// <summary>The bio's submission. Null while the slot is free.</summary>
    internal Submission? Submission { get; private set; }

    /// <summary>The deliveries of this bio that servers still hold, linked by their slot links.</summary>
    internal Delivery? Deliveries { get; set; }

    /// <summary>The gate's generation when the bio was admitted: a later one means that it no longer counts in queue_size.</summary>
    internal uint Generation { get; private set; }

    internal ulong Sequence => Volatile.Read(ref _word) >> SequenceShift;

    internal ulong Id => IdOf(Sequence);

    internal BioResult Outcome => (BioResult)((Volatile.Read(ref _word) & OutcomeMask) >> OutcomeShift);

    internal bool IsLive => (Volatile.Read(ref _word) & OutcomeMask) == 0;

    internal static int IndexOf(ulong id) => (int)(id & (BioQueue.SlotCount - 1));

    internal static ulong SequenceOf(ulong id) => id >> IndexBits;

    private ulong IdOf(ulong sequence) => (sequence << IndexBits) | (uint)Index;

    /// <summary>Puts a bio in; it is live from here on. Under the queue's lock, on a free slot.</summary>
    internal ulong Open(ulong sequence, Submission submission, uint generation)
    {
        Debug.Assert(Submission is null && Deliveries is null, "the slot is free");
        Submission = submission;
        Generation = generation;
        Volatile.Write(ref _loan, (sequence << 2) | LoanNone);
        Volatile.Write(ref _word, sequence << SequenceShift);
        return IdOf(sequence);
    }

    /// <summary>Frees the slot of a settled bio without pins. Under the queue's lock.</summary>
    internal void Close()
    {
        Debug.Assert((Volatile.Read(ref _word) & PinMask) == 0 && !IsLive, "settled and unpinned");
        Submission = null;
        Deliveries = null;
    }

    /// <summary>Takes the right to touch the submitter's memory, if the bio is live.</summary>
    internal bool TryPin(ulong sequence)
    {
        while (true)
        {
            ulong word = Volatile.Read(ref _word);
            if (word >> SequenceShift != sequence || (word & OutcomeMask) != 0)
            {
                return false;
            }

            Debug.Assert((word & PinMask) != PinMask, "pins are bounded by the threads that copy");
            if (Interlocked.CompareExchange(ref _word, word + 1, word) == word)
            {
                return true;
            }
        }
    }

    /// <summary>Gives a pin back; true if the bio is settled and this was its last pin: the caller must finish it.</summary>
    internal bool Unpin()
    {
        ulong word = Interlocked.Decrement(ref _word);
        return (word & PinMask) == 0 && (word & OutcomeMask) != 0;
    }

    /// <summary>Settles the bio if it is live (B1), and takes a pin in the same step.</summary>
    internal bool TrySettle(ulong sequence, BioResult result)
    {
        Debug.Assert(result != BioResult.Pending, "an outcome");
        while (true)
        {
            ulong word = Volatile.Read(ref _word);
            if (word >> SequenceShift != sequence || (word & OutcomeMask) != 0)
            {
                return false;
            }

            ulong settled = (word | ((ulong)result << OutcomeShift)) + 1;
            if (Interlocked.CompareExchange(ref _word, settled, word) == word)
            {
                return true;
            }
        }
    }

    /// <summary>For the one who settled the bio and could not do what he settled it with, while he has his pin: nobody has seen the outcome.</summary>
    internal void ReplaceOutcome(BioResult result)
    {
        ulong word;
        do
        {
            word = Volatile.Read(ref _word);
        }
        while (Interlocked.CompareExchange(ref _word, (word & ~OutcomeMask) | ((ulong)result << OutcomeShift), word) != word);
    }

    /// <summary>Marks the transport's buffer as handed to a server; false if one has it already.</summary>
    internal bool TryLend(ulong sequence) => TryMoveLoan(sequence, LoanNone, LoanLent);

    /// <summary>
    /// For the server that has the buffer, when it lets go: true if the buffer is still the bio's, false if the bio was settled without
    /// it and the transport has put a spare in its place, so that the buffer must be returned to the transport.
    /// </summary>
    internal bool TryEndLoan(ulong sequence) => TryMoveLoan(sequence, LoanLent, LoanNone);

    /// <summary>For whoever settled the bio and is not the one that has the buffer: true if the transport must swap (B6).</summary>
    internal bool TrySwapLoan(ulong sequence) => TryMoveLoan(sequence, LoanLent, LoanSwapped);

    private bool TryMoveLoan(ulong sequence, ulong from, ulong to) =>
        Interlocked.CompareExchange(ref _loan, (sequence << 2) | to, (sequence << 2) | from) == ((sequence << 2) | from);
}
