using System.IO.Pipelines;

namespace Abuse.Core.Tests;

/// <summary>Both directions of a connection as pipes: each end reads what the other writes.</summary>
internal sealed record PipePair(PipeReader Input, PipeWriter Output) : IDuplexPipe
{
    internal static (PipePair Here, PipePair There) Create(PipeOptions? options = null)
    {
        var to = new Pipe(options ?? PipeOptions.Default);
        var from = new Pipe(options ?? PipeOptions.Default);
        return (new PipePair(from.Reader, to.Writer), new PipePair(to.Reader, from.Writer));
    }
}
