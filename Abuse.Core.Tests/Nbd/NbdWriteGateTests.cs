using NUnit.Framework;

namespace Abuse.Core.Tests;

/// <summary>Writes of parts of blocks are alone, whoever gives up meanwhile.</summary>
[TestFixture]
[CancelAfter(60_000)]
internal sealed class NbdWriteGateTests
{
    [Test]
    public async Task Who_changes_a_part_of_a_block_is_alone_whoever_gives_up_meanwhile()
    {
        var gate = new NbdWriteGate();
        int whole = 0;
        int parts = 0;
        int wrong = 0;
        int alone = 0;
        await Task.WhenAll(Enumerable.Range(0, 8).Select(seed => Task.Run(() => seed < 4 ? WriteWholeAsync(new Random(seed)) : WritePartAsync(new Random(seed)))));
        Assert.That((wrong, whole, parts), Is.EqualTo((0, 0, 0)));
        Assert.That(alone, Is.GreaterThan(100));
        Assert.That(gate.TryEnter(), "it is open at the end");

        async Task WriteWholeAsync(Random random)
        {
            for (int i = 0; i < 4000; i++)
            {
                using var patience = new CancellationTokenSource();
                Task entering = gate.EnterAsync(patience.Token);
                if (!await MayEnterAsync(entering, patience, random))
                {
                    continue;
                }

                Interlocked.Increment(ref whole);
                Note(Volatile.Read(ref parts) != 0);
                Thread.SpinWait(random.Next(50));
                Interlocked.Decrement(ref whole);
                gate.Leave();
            }
        }

        async Task WritePartAsync(Random random)
        {
            for (int i = 0; i < 2000; i++)
            {
                using var patience = new CancellationTokenSource();
                Task entering = gate.EnterAloneAsync(patience.Token);
                if (!await MayEnterAsync(entering, patience, random))
                {
                    continue;
                }

                Note(Interlocked.Increment(ref parts) != 1 || Volatile.Read(ref whole) != 0);
                Thread.SpinWait(random.Next(50));
                Note(Interlocked.Decrement(ref parts) != 0 || Volatile.Read(ref whole) != 0);
                Interlocked.Increment(ref alone);
                gate.LeaveAlone();
            }
        }

        void Note(bool isWrong) => Interlocked.Add(ref wrong, isWrong ? 1 : 0);
    }

    /// <summary>Waits, or gives up now and then; whether it has entered.</summary>
    private static async Task<bool> MayEnterAsync(Task entering, CancellationTokenSource patience, Random random)
    {
        if (random.Next(2) == 0)
        {
            Thread.SpinWait(random.Next(100));
            await patience.CancelAsync();
        }

        try
        {
            await entering;
            return true;
        }
        catch (OperationCanceledException)
        {
            return false;
        }
    }
}
