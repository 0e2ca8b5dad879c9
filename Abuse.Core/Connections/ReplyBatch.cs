using System.Buffers;

namespace Abuse.Core;

/// <summary>
/// The replies that a receiving loop makes while it goes through what was received: collected in pooled memory, and put into the outbox together.
/// </summary>
/// <remarks>For one loop. What was reserved and not committed is used again.</remarks>
internal struct ReplyBatch
{
    /// <summary>So much is sent at once where replies are small.</summary>
    private const int Usual = 64 << 10;

    private byte[]? _array;
    private int _used;

    /// <summary>Whether there was a reply before in this batch, so that more may follow.</summary>
    private bool _expectsMore;

    /// <summary>Bytes that were committed and not yet put into the outbox.</summary>
    internal readonly int Length => _used;

    /// <summary>Room for a reply. Where it does not fit behind the others, those go to the outbox first.</summary>
    internal Span<byte> Reserve(int length, Outbox outbox)
    {
        if (_array is not null && _array.Length - _used < length)
        {
            Seal(outbox);
        }

        // A single reply gets what it needs: a connection that asks one thing at a time needs no more.
        _array ??= ArrayPool<byte>.Shared.Rent(_expectsMore ? Math.Max(length, Usual) : length);
        return _array.AsSpan(_used, length);
    }

    /// <summary>The first bytes of what was reserved are a reply.</summary>
    internal void Commit(int length)
    {
        _used += length;
        _expectsMore = true;
    }

    /// <summary>Puts what there is into the outbox; the batch starts anew.</summary>
    internal void Finish(Outbox outbox)
    {
        Seal(outbox);
        _expectsMore = false;
    }

    private void Seal(Outbox outbox)
    {
        if (_array is { } array)
        {
            _array = null;
            if (_used != 0)
            {
                outbox.Append(new OutSegment(array, 0, _used));
            }
            else
            {
                ArrayPool<byte>.Shared.Return(array);
            }

            _used = 0;
        }
    }
}
