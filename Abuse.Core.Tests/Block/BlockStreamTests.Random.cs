using System.Globalization;
using FsCheck;
using FsCheck.Fluent;
using NUnit.Framework;

namespace Abuse.Core.Tests;

/// <content>Any run of operations against a MemoryStream of the same length.</content>
public sealed partial class BlockStreamTests
{
    /// <summary>The model's length: not a power of two, so that the end is an odd place.</summary>
    private const int ModelSize = 5 * 4096;

    /// <summary>What a step does.</summary>
    public enum StreamOp
    {
        Write,
        Read,
        WriteByte,
        ReadByte,
        Seek,
        SeekFromEnd,
        SetPosition,
        Flush,
    }

    /// <summary>A step: where to go first, or how many bytes.</summary>
    public readonly record struct StreamStep(StreamOp Op, int Value, bool Synchronous);

    [Test]
    public void Any_run_of_operations_is_what_it_is_on_a_memory_stream([Values(512, 4096)] int blockSize, [Values] bool isAsyncTarget)
    {
        Gen<int> edge = from block in Gen.Choose(0, ModelSize / blockSize) from off in Gen.Choose(-2, 2) select (block * blockSize) + off;
        Gen<StreamStep> step =
            from op in Gen.Frequency((4, Gen.Constant(StreamOp.Write)), (4, Gen.Constant(StreamOp.Read)), (6, Gen.Elements(Enum.GetValues<StreamOp>())))
            from value in Gen.OneOf(edge, Gen.Choose(0, 3 * blockSize), Gen.Choose(-ModelSize, ModelSize + 100))
            from synchronous in Gen.Elements(true, false)
            select new StreamStep(op, value, synchronous);

        int seed = ContractSeed.Next();
        Config config = Config.QuickThrowOnFailure.WithMaxTest(isAsyncTarget ? 60 : 200).WithEndSize(80).WithReplay(new Replay(new Rnd((ulong)seed), null));
        Prop.ForAll(Arb.Array(step.ToArbitrary()), steps => Soon.OnThread(() => Differs(steps, blockSize, isAsyncTarget)).InTime().GetAwaiter().GetResult() is { } why ? false.Label(why) : true.Label("same")).Check(config);
    }

    private static string? Differs(StreamStep[] steps, int blockSize, bool isAsyncTarget)
    {
        BlockTarget target = new MemoryTarget(ModelSize, blockSize);
        AbuseDevice device = AbuseDevice.Create(isAsyncTarget ? new LaterTarget(target) : target);
        try
        {
            using var stream = new BlockStream(device);
            using var model = new MemoryStream(new byte[ModelSize]);
            for (int i = 0; i < steps.Length; i++)
            {
                (string expected, string actual) = (Apply(model, steps[i], i), Apply(stream, steps[i], i));
                if (expected != actual || model.Position != stream.Position)
                {
                    return string.Create(CultureInfo.InvariantCulture,
                        $"step {i}, {steps[i]}: {actual} at {stream.Position}, not {expected} at {model.Position}");
                }
            }

            int at = Image(stream).AsSpan().CommonPrefixLength(model.ToArray());
            return at == ModelSize ? null : string.Create(CultureInfo.InvariantCulture, $"byte {at} differs at the end");
        }
        finally
        {
            device.DisposeAsync().AsTask().GetAwaiter().GetResult();
        }
    }

    /// <summary>Does a step, and says what it saw.</summary>
    private static string Apply(Stream stream, StreamStep step, int number)
    {
        try
        {
            return step.Op switch
            {
                // A MemoryStream of fixed length refuses even nothing behind its end; files and this stream do not.
                StreamOp.Write when step.Value == 0 && stream is MemoryStream => "done",
                StreamOp.Write => Write(stream, TestBytes.Of(number, Math.Abs(step.Value)), step.Synchronous),
                StreamOp.Read => Read(stream, new byte[Math.Abs(step.Value)], step.Synchronous),
                StreamOp.WriteByte => Done(() => stream.WriteByte((byte)step.Value)),
                StreamOp.ReadByte => $"{stream.ReadByte()}",
                StreamOp.Seek => $"{stream.Seek(step.Value, SeekOrigin.Current)}",
                StreamOp.SeekFromEnd => $"{stream.Seek(step.Value, SeekOrigin.End)}",
                StreamOp.SetPosition => Done(() => stream.Position = step.Value),
                _ => Done(stream.Flush),
            };
        }
        catch (ArgumentOutOfRangeException)
        {
            return "no such position";
        }
        catch (BlockIOException failure) when (failure.Result == BioResult.NoSpace)
        {
            return "no room";
        }
        catch (IOException failure) when (failure is not BlockIOException)
        {
            return "before the start";
        }
        catch (NotSupportedException) when (stream is MemoryStream)
        {
            // How a MemoryStream of fixed length says that there is no room.
            return "no room";
        }
    }

    private static string Done(Action call)
    {
        call();
        return "done";
    }

    private static string Write(Stream stream, byte[] bytes, bool synchronous)
    {
        if (synchronous)
        {
            stream.Write(bytes, 0, bytes.Length);
        }
        else
        {
            stream.WriteAsync(bytes.AsMemory()).AsTask().GetAwaiter().GetResult();
        }

        return "done";
    }

    private static string Read(Stream stream, byte[] bytes, bool synchronous)
    {
        int count = synchronous ? stream.Read(bytes, 0, bytes.Length) : stream.ReadAsync(bytes.AsMemory()).AsTask().GetAwaiter().GetResult();
        return $"{count} bytes {Convert.ToHexString(bytes)}";
    }
}
