using System.Globalization;
using FsCheck;
using FsCheck.Fluent;
using NUnit.Framework;

namespace Abuse.Core.Tests;

/// <content>Random bios against a flat array, and many threads at once.</content>
public abstract partial class StoringTargetContract
{
    /// <summary>A bio of a random run, in sectors.</summary>
    public readonly record struct RandomBio(BioOp Op, int Sector, int Count, TargetPath Path, bool Fua);

    [Test]
    public void Any_run_of_bios_leaves_what_the_same_run_leaves_in_an_array()
    {
        const int Sectors = Size / 512;
        Gen<RandomBio> step =
            from op in Gen.Frequency((4, Gen.Constant(BioOp.Write)), (3, Gen.Constant(BioOp.Discard)), (2, Gen.Constant(BioOp.WriteZeroes)), (2, Gen.Constant(BioOp.Read)), (1, Gen.Constant(BioOp.Flush)))
            from first in Gen.OneOf(Gen.Choose(0, Sectors - 1), Gen.Elements(0, 127, 128, 255, 256, 640, Sectors - 1))
            from count in Gen.OneOf(Gen.Choose(1, 20), Gen.Elements(1, 128, 129, 256, Sectors))
            from path in Gen.Elements(Enum.GetValues<TargetPath>())
            from fua in Gen.Elements(true, false)
            select new RandomBio(op, first, Math.Min(count, Sectors - first), path, fua);

        int seed = ContractSeed.Next();
        Config config = Config.QuickThrowOnFailure.WithMaxTest(100).WithEndSize(60).WithReplay(new Replay(new Rnd((ulong)seed), null));
        Prop.ForAll(Arb.Array(step.ToArbitrary()), steps => Differs(steps) is { } why ? false.Label(why) : true.Label("same")).Check(config);
    }

    [Test]
    public void Writers_of_different_sectors_lose_nothing_to_discards_next_to_them()
    {
        BlockTarget target = Create();
        int seed = ContractSeed.Next();
        string[] losses = OnThreads(4, thread => WriteAndDiscardOwnSectors(target, new Random(seed + thread), thread, threads: 4));
        Assert.That(losses, Is.All.Empty);
        Assert.That(AfterStress(target), Is.Null);
    }

    [Test]
    public void A_read_next_to_discards_of_everything_sees_the_last_write_or_zeroes()
    {
        Assume.That(DiscardsToZeroes && Features.HasFlag(BlockFeatures.Discard));
        BlockTarget target = Create();
        using var stop = new CancellationTokenSource();
        int writers = 2;
        string[] errors = OnThreads(3, thread =>
        {
            if (thread == 2)
            {
                return DiscardUntil(target, stop.Token);
            }

            string error = WriteVersions(target, thread);
            if (Interlocked.Decrement(ref writers) == 0)
            {
                stop.Cancel();
            }

            return error;
        });
        Assert.That(errors, Is.All.Empty);
        Assert.That(AfterStress(target), Is.Null);
    }

    /// <summary>What else must hold after many threads changed the target: null if it does.</summary>
    private protected virtual string? AfterStress(BlockTarget target) => null;

    /// <summary>What else must hold between two steps: null if it does.</summary>
    private protected virtual string? AfterStep(BlockTarget target, byte[] model) => null;

    /// <summary>Runs the steps on a new target and on an array; null if both end alike.</summary>
    private string? Differs(RandomBio[] steps)
    {
        BlockTarget target = Create();
        byte[] model = new byte[Size];
        for (int i = 0; i < steps.Length; i++)
        {
            if ((Apply(target, model, steps[i], i + 1) ?? AfterStep(target, model)) is { } why)
            {
                return string.Create(CultureInfo.InvariantCulture, $"step {i}: {why}");
            }
        }

        byte[] end = new TargetCaller(target, TargetPath.MayBlock).Read(0, Size);
        int at = end.AsSpan().CommonPrefixLength(model);
        return at == Size ? null : string.Create(CultureInfo.InvariantCulture, $"byte {at} at the end is {end[at]}, not {model[at]}");
    }

    /// <summary>Applies one step to both. The bytes of a write are told apart by the step's number, and never 0.</summary>
    private string? Apply(BlockTarget target, byte[] model, RandomBio step, int number)
    {
        int offset = step.Sector * 512;
        int length = step.Count * 512;
        var caller = new TargetCaller(target, step.Path);
        switch (step.Op)
        {
            case BioOp.Write:
                byte[] bytes = Bytes(number, length);
                bytes.CopyTo(model, offset);
                return Explain(caller.Write(offset, bytes, step.Fua));
            case BioOp.Read:
                return caller.Read(offset, length).AsSpan().SequenceEqual(model.AsSpan(offset, length)) ? null : $"{step} read other bytes";
            case BioOp.Flush:
                return Explain(caller.Flush());
            case BioOp.Discard when !DiscardsToZeroes || !Features.HasFlag(BlockFeatures.Discard):
                return null;
            default:
                model.AsSpan(offset, length).Clear();
                return Explain(caller.Run(new BioHead { Op = step.Op, Offset = offset, Length = length, Fua = step.Fua }));
        }

        string? Explain(BioResult result) => result == BioResult.Ok ? null : $"{step}: {result}";
    }

    private static string[] OnThreads(int count, Func<int, string> body)
    {
        string[] results = new string[count];
        Thread[] threads = new Thread[count];
        for (int i = 0; i < count; i++)
        {
            int index = i;
            threads[i] = new Thread(() =>
            {
                try
                {
                    results[index] = body(index);
                }
                catch (Exception e) when (e is not OutOfMemoryException)
                {
                    results[index] = e.ToString();
                }
            });
            threads[i].Start();
        }

        foreach (Thread thread in threads)
        {
            thread.Join();
        }

        return results;
    }

    /// <summary>Owns every fourth sector of the first two chunks, and knows what must be in them.</summary>
    private string WriteAndDiscardOwnSectors(BlockTarget target, Random random, int thread, int threads)
    {
        var caller = new TargetCaller(target, TargetPath.MayBlock);
        byte[] model = new byte[256];
        byte[] memory = new byte[512];
        for (int round = 0; round < StressRounds; round++)
        {
            // Few of one's own sectors at a time, so that a chunk is often all zero and given back.
            int sector = (random.Next(4) * threads) + thread + (random.Next(2) * 128);
            byte value = (byte)(random.Next(2) * random.Next(1, 256));
            memory.AsSpan().Fill(value);
            BioResult result = value == 0 ? caller.WriteZeroes(sector * 512, 512) : caller.Write(sector * 512, memory);
            model[sector] = value;
            int check = random.Next(2) == 0 ? sector : (random.Next(4) * threads) + thread;
            caller.Read(check * 512, memory);
            if (result != BioResult.Ok || memory.AsSpan().ContainsAnyExcept(model[check]))
            {
                return $"round {round}: {result}; sector {check} has {memory[0]}, not {model[check]}";
            }
        }

        return "";
    }

    private string WriteVersions(BlockTarget target, int thread)
    {
        var caller = new TargetCaller(target, TargetPath.MayBlock);
        byte[] memory = new byte[512];
        for (int round = 0; round < StressRounds; round++)
        {
            byte version = (byte)((round % 255) + 1);
            memory.AsSpan().Fill(version);
            BioResult written = caller.Write(thread * 512, memory);
            BioResult read = caller.Read(thread * 512, memory);
            int other = memory.AsSpan().IndexOfAnyExcept((byte)0, version);
            if (other >= 0 || written != BioResult.Ok || read != BioResult.Ok)
            {
                return $"round {round}: {written}, {read}; byte {other} is neither {version} nor 0";
            }
        }

        return "";
    }

    /// <summary>Discards now the first chunk alone, now the device.</summary>
    private static string DiscardUntil(BlockTarget target, CancellationToken stop)
    {
        var caller = new TargetCaller(target, TargetPath.MayBlock);
        for (int i = 0; !stop.IsCancellationRequested; i++)
        {
            BioResult result = caller.Discard(0, i % 2 == 0 ? 65536 : Size);
            if (result != BioResult.Ok)
            {
                return $"discard {i}: {result}";
            }
        }

        return "";
    }
}
